// Package merge joins what a user has with what an upstream delivered, against the
// version delivered before: folders by paths, text by lines, notebooks by cells. It
// is pure: values in, values out; it reads no disk and knows no git.
package merge
