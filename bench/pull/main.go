// Command pull measures pulls beside git and nbgitpuller, in one run.
package main

func main() {}
