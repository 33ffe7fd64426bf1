// Package resolve reads what people paste, an address of a repository, a branch, a
// file, a pull request, and says which git repository and ref it may mean. It is
// pure and asks no network: whether something exists is for the caller to find out.
package resolve
