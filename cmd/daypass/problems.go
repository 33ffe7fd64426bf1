package main

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/wallet"
)

// walletProblem says what is the matter with this machine's store.
func walletProblem(err error) error {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return err
	}
	var untrusted wallet.ErrUntrusted
	var version wallet.ErrVersion
	switch {
	case errors.Is(err, wallet.ErrTokenFile):
		return &daypass.Problem{
			Code: "DP-409", What: "the pass that DAYPASS_TOKEN_FILE names cannot be read", Why: printable(strings.TrimPrefix(lastLine(err), "wallet: ")),
			Next: "Correct the file, or unset the variable to use your login.", Kind: daypass.ErrNoLogin, Err: err,
		}
	case errors.Is(err, wallet.ErrToken):
		return &daypass.Problem{
			Code: "DP-409", What: "DAYPASS_TOKEN is set and holds nothing", Why: "a pass was meant for this shell and did not arrive",
			Next: "Set it to the pass, or unset it to use your login.", Kind: daypass.ErrNoLogin, Err: err,
		}
	case errors.Is(err, wallet.ErrFull):
		return &daypass.Problem{
			Code: "DP-404", What: "the store is full, so the new token was not kept",
			Next: `Run "daypass logout --all", then log in again.`, Err: err,
		}
	case errors.Is(err, wallet.ErrNoPlace) && !errors.Is(err, syscall.ENOSPC):
		return &daypass.Problem{
			Code: "DP-401", What: "this machine has no place where a token can be kept in memory only",
			Why:  "neither the kernel's keyring nor a private memory file system is usable",
			Next: "Set DAYPASS_RUNTIME_DIR to a private folder on a memory file system (mkdir -m 700), or ask the admins to mount /dev/shm.",
			Err:  err,
		}
	case errors.As(err, &untrusted):
		return &daypass.Problem{
			Code: "DP-402", What: "the store at " + printable(untrusted.Path) + " is not used", Why: untrusted.Why,
			Next: "Look at it (ls -la " + printable(untrusted.Path) + "). If it is yours, remove it and log in again; if it is not, tell the admins.",
			Err:  err,
		}
	case errors.As(err, &version):
		return &daypass.Problem{
			Code: "DP-403", What: "the store was written by another version of daypass",
			Next: `Run "daypass logout --all" with this version, then "daypass login".`, Kind: daypass.ErrNoLogin, Err: err,
		}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &daypass.Problem{
			Code: "DP-404", What: "the store is full, so the new token was not kept",
			Next: "Free some space there (df -h /dev/shm), then log in again. What was kept before still works.", Err: err,
		}
	case errors.Is(err, fs.ErrPermission):
		return &daypass.Problem{
			Code: "DP-402", What: "the store cannot be opened", Why: "this user may not",
			Next: "Run daypass as yourself, without sudo.", Err: err,
		}
	}
	return &daypass.Problem{Code: "DP-406", What: "the store does not work", Why: printable(err.Error()), Next: `Run "daypass doctor".`, Err: err}
}

func lastLine(err error) string {
	lines := strings.Split(err.Error(), "\n")
	return lines[len(lines)-1]
}
