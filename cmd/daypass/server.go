package main

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
)

// serverCommand hands a command over to daypassd, which lies beside daypass and
// alone links a server, so that the command line stays one.
func (a *app) serverCommand(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name + " …", Short: short, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := ownDir()
			if err != nil {
				return err
			}
			path := filepath.Join(dir, "daypassd")
			argv := append([]string{path, name}, args...)
			err = syscall.Exec(path, argv, os.Environ())
			return &daypass.Problem{
				Code: "DP-002", What: "daypassd could not be started",
				Why:  "it has to lie in the same folder as daypass",
				Next: `Install both again ("make install").`, Err: err,
			}
		},
	}
}
