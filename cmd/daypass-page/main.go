// Command daypass-page serves the user's page around pulls. "daypass page" starts it.
package main

func main() {}
