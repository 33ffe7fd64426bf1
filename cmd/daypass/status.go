package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/wallet"
)

const statusHelp = `Show what access this machine holds for you: at which host, as whom, for what, until
when, and where it is kept. No token is shown. Exit status 3: there is none.`

// A statusRow is one credential, as --json shows it.
type statusRow struct {
	Host         string   `json:"host"`
	Account      string   `json:"account"`
	Expires      *string  `json:"expires"` // RFC 3339; null where the host sets no end
	Scope        string   `json:"scope"`
	Repositories []string `json:"repositories"` // null: every repository in reach
	Access       string   `json:"access"`
	Kept         string   `json:"kept"`
	Origin       string   `json:"origin"`
	RenewedUntil *string  `json:"renewed_until"`
	Usable       bool     `json:"usable"` // answers in this process
	StoreFile    string   `json:"store_file,omitempty"`
}

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status", Short: "What access this machine holds, until when", Long: statusHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.status(c, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "a list of objects, for programs")
	return c
}

func (a *app) status(c *cobra.Command, asJSON bool) error {
	w, err := a.openWallet()
	if err != nil {
		return err
	}
	a.sweep(c.Context(), w, revokeTime)
	entries, ended, err := w.List()
	if err != nil {
		return walletProblem(err)
	}
	auth, err := a.presenting()
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e wallet.Entry) bool { return !e.Credential.Usable(a.now(), 0) })
	s := a.screen(asJSON)
	connections, connected := a.connections(c.Context(), s)
	indexes := a.showIndexPasses(s)
	if asJSON {
		rows := []any{}
		for _, e := range entries {
			rows = append(rows, a.statusRow(w, e, auth))
		}
		for _, row := range connections {
			rows = append(rows, row)
		}
		for _, row := range indexes {
			rows = append(rows, row)
		}
		s.object(rows)
	} else {
		for _, e := range entries {
			a.showEntry(s, w, e, auth)
		}
	}
	if len(entries) > 0 || connected || len(indexes) > 0 {
		return nil
	}
	if !asJSON {
		s.result("Not logged in on this machine.")
		for _, e := range ended {
			s.result("  %s", endedWords(e, a.now()))
		}
		s.result(`Log in with "daypass login".`)
	}
	return exitStatus(daypass.ExitCode(daypass.ErrNoLogin))
}

func (a *app) statusRow(w *wallet.Wallet, e wallet.Entry, auth wallet.Authority) statusRow {
	sc := e.Credential.Scope
	row := statusRow{
		Host: sc.Host, Account: e.Credential.Account, Scope: a.entryScope(e), Access: sc.Access.String(),
		Kept: w.Place().String(), Origin: e.Origin, Usable: e.Authority == auth || e.Authority == a.servedAs(auth),
		StoreFile: a.storeFile(e.Scheme, sc.Host),
	}
	if sc.Until.Before(daypass.Forever) {
		row.Expires = rfc3339(sc.Until)
	}
	if !e.RenewUntil.IsZero() {
		row.RenewedUntil = rfc3339(e.RenewUntil)
	}
	if !sc.All {
		row.Repositories = []string{}
		for _, r := range sc.Repos {
			row.Repositories = append(row.Repositories, r.String())
		}
	}
	return row
}

func rfc3339(t time.Time) *string {
	s := t.UTC().Format(time.RFC3339)
	return &s
}

func (a *app) showEntry(s *screen, w *wallet.Wallet, e wallet.Entry, auth wallet.Authority) {
	sc := e.Credential.Scope
	who := sc.Host + " as " + first(e.Credential.Account, "an account that was not looked up")
	if e.Origin == fromPass {
		who = "Access service " + e.WebURL + ", by a pass"
	}
	s.result("%s", s.bold(who))
	s.result("  Ends:   %s", s.moment(sc.Until))
	if e.RenewUntil.After(sc.Until) {
		s.result("  Renews: by itself until %s", s.moment(e.RenewUntil))
	}
	s.result("  Scope:  %s", printable(a.entryScope(e)))
	s.result("  Kept:   %s", w.Place())
	if f := a.storeFile(e.Scheme, sc.Host); f != "" {
		s.result("  Also:   in %s, a file on a disk", printable(a.tilde(f)))
	}
	if e.Authority != auth && e.Authority != a.servedAs(auth) {
		s.result("  Not used in this shell: a pass or hub token in its environment comes first.")
	}
	if warning := w.Place().Warning; warning != "" {
		s.result("  Note:   %s", warning+".")
	}
}

// entryScope says what a credential reaches; a token from the environment was
// never looked at, so its kind tells how wide it may be.
func (a *app) entryScope(e wallet.Entry) string {
	if e.Origin == fromPass {
		return "your log-in at the access service: whatever you may reach through it, one repository at a time"
	}
	if e.Origin != "env" {
		return scopeWords(e.Credential.Scope)
	}
	switch t := e.Credential.Token.Reveal(); {
	case strings.HasPrefix(t, "ghu_"):
		return "taken from GITHUB_TOKEN: " + scopeWords(e.Credential.Scope)
	case strings.HasPrefix(t, "github_pat_"):
		return "taken from GITHUB_TOKEN: whatever the fine-grained personal token was made for"
	case strings.HasPrefix(t, "gho_"):
		return "taken from GITHUB_TOKEN: EVERYTHING that you can reach at the host, as far as its OAuth scopes say; it does not end by itself"
	}
	return "taken from GITHUB_TOKEN: everything that this token reaches at the host; daypass cannot tell how much"
}

func endedWords(e wallet.Ended, now time.Time) string {
	why := "ended"
	switch e.Reason {
	case "rejected":
		why = "was refused by the host"
	case "logout":
		why = "was ended by logout"
	}
	return "Your access to " + printable(e.Host) + " " + why + " at " + clock(e.At, now) + "."
}
