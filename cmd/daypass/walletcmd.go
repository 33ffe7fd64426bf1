package main

import (
	"context"
	"io"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/wallet"
)

const walletHelp = `What this machine holds, moved to another one by hand: clusters whose compute nodes
have no browser, or whose memory is each their own.

  daypass wallet copy node7     hand your unexpired access to node7, over ssh
  daypass wallet list           as daypass status
  daypass wallet add            read access from standard input (copy runs it)`

// maxCopy bounds what wallet add reads.
const maxCopy = 256 << 10

func (a *app) walletCommand() *cobra.Command {
	c := &cobra.Command{Use: "wallet", Short: "Hand your access to another node", Long: walletHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return usageProblem(c, "say copy, add or list") }}
	var remote string
	copyTo := &cobra.Command{
		Use: "copy HOST", Short: "Hand your unexpired access to another node, over ssh", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.walletCopy(c.Context(), args[0], remote) },
	}
	copyTo.Flags().StringVar(&remote, "remote-daypass", "daypass", "how daypass is called there")
	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "What is held, as daypass status", Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.status(c, asJSON) },
	}
	list.Flags().BoolVar(&asJSON, "json", false, "a list of objects, for programs")
	add := &cobra.Command{
		Use: "add", Short: "Read access from standard input", Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.walletAdd(c.Context()) },
	}
	c.AddCommand(copyTo, add, list)
	return c
}

// walletCopy hands over what a login made and is still good: never a renewal,
// which is good once and stays where it is, and nothing of a pass or a hub.
func (a *app) walletCopy(ctx context.Context, host, remote string) error {
	if strings.HasPrefix(host, "-") || strings.ContainsAny(remote, "\n\r\x00") {
		return usageText("wallet", "name a host as for ssh")
	}
	auth, err := a.presenting()
	if err != nil {
		return err
	}
	if auth != wallet.Login {
		return &daypass.Problem{
			Code: "DP-106", What: "this shell acts for a pass or a hub's token, which must not hand out your login",
			Next: "Unset DAYPASS_TOKEN (or DAYPASS_TOKEN_FILE, DAYPASS_URL) and run it again.", Kind: daypass.ErrRefused,
		}
	}
	w, err := a.openWallet()
	if err != nil {
		return err
	}
	entries, _, err := w.List()
	if err != nil {
		return walletProblem(err)
	}
	var out, shared []wallet.Entry
	for _, e := range entries {
		if e.Authority == wallet.Login && e.Credential.Usable(a.now(), 0) && e.Origin != "env" {
			out = append(out, e.WithoutRenewal())
			shared = append(shared, e)
		}
	}
	if len(out) == 0 {
		return &daypass.Problem{
			Code: "DP-104", What: "there is no access here to hand over", Next: `Run "daypass login" first.`, Kind: daypass.ErrNoLogin,
		}
	}
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return &daypass.Problem{Code: "DP-407", What: "ssh was not found", Next: "Install it, or log in on the other node itself.", Err: err}
	}
	cmd := exec.CommandContext(ctx, ssh, "--", host, remote+" wallet add")
	cmd.Stdin = strings.NewReader(string(wallet.Encode(out)))
	cmd.Stdout, cmd.Stderr = a.stdout, a.stderr
	if err := cmd.Run(); err != nil {
		return &daypass.Problem{
			Code: "DP-407", What: "the access could not be handed to " + printable(host),
			Next: "Check that \"ssh " + printable(host) + " daypass --version\" works.", Kind: daypass.ErrUnreachable, Err: err,
		}
	}
	for _, e := range shared {
		// A later login here must not end it there.
		if _, err := w.Update(sameAs(e), func(have *wallet.Entry) { have.Origin = "shared" }); err != nil {
			return walletProblem(err)
		}
	}
	return nil
}

func (a *app) walletAdd(ctx context.Context) error {
	if a.readable {
		return usageText("wallet", `wallet add reads what "daypass wallet copy" sends; it is not for typing`)
	}
	text, err := io.ReadAll(io.LimitReader(a.stdin, maxCopy+1))
	if err != nil {
		return err
	}
	if len(text) > maxCopy {
		return usageText("wallet", "that is more than a wallet holds")
	}
	entries, err := wallet.Decode(text)
	if err != nil {
		return &daypass.Problem{
			Code: "DP-408", What: "what came in is no wallet of this version of daypass",
			Next: "Install the same version on both nodes.", Kind: daypass.ErrUsage, Err: err,
		}
	}
	w, err := a.openWallet()
	if err != nil {
		return err
	}
	a.sweep(ctx, w, revokeTime)
	s := a.screen(false)
	for _, e := range entries {
		if e.Authority != wallet.Login || !e.Credential.Usable(a.now(), 0) {
			continue
		}
		e = e.WithoutRenewal()
		e.Origin = "copy"
		stored, err := w.PutUnless(e, func(have wallet.Entry) bool {
			return have.Origin != "copy" && (!have.Refresh.IsZero() || have.Credential.Scope.Until.After(e.Credential.Scope.Until))
		})
		if err != nil {
			return walletProblem(err)
		}
		if have, ok, _ := again(w, e); !stored && ok && have.Over(a.now()) {
			if h, err := entryHost(e); err == nil {
				return stillToEnd(h)
			}
		}
		if !stored {
			s.result("%s as %s: a login that lasts longer is here already", printable(e.Credential.Scope.Host), printable(e.Credential.Account))
			continue
		}
		s.result("%s as %s, until %s", printable(e.Credential.Scope.Host), printable(e.Credential.Account), s.moment(e.Credential.Scope.Until))
	}
	return nil
}
