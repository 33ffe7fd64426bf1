// Command gateway measures the package gateway beside the devpi server behind it.
package main

func main() {}
