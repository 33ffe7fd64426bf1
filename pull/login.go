package pull

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/clone"
)

// LoginVariable is the environment variable in which the page hands an [Ask.Login] to
// the one process that pulls.
const LoginVariable = "DAYPASS_PULL_LOGIN"

// longName is from how many bytes on a user's name may be a token.
const longName = 20

// HoldsSecret reports whether an address carries a password or a token, in any place that
// we know of. Such a one is shown to nobody, and is in no argument of a process; what
// [SplitLogin] leaves behind is asked this too.
func HoldsSecret(address string) bool { return clone.HoldsSecret(address) }

// CheckAddress returns the problem of an address that [HoldsSecret], DP-334, before any
// program is asked about it.
func CheckAddress(address string) error {
	if HoldsSecret(address) {
		return problemPassword()
	}
	return nil
}

// SplitLogin takes a password or a token out of the address of a repository. login
// is "https://USER:PASSWORD@HOST:PORT", as [Ask.Login] wants it; zero where there is
// none, or where it cannot be told apart for sure.
func SplitLogin(address string) (without string, login daypass.Secret) {
	scheme, _, _ := strings.Cut(address, "://")
	if s := strings.ToLower(scheme); s != "https" && s != "http" {
		return address, login
	}
	u, err := url.Parse(address)
	if err != nil || u.User == nil || u.Host == "" || !clone.HoldsSecret(address) && len(u.User.Username()) < longName {
		return address, login
	}
	held := url.URL{Scheme: u.Scheme, Host: u.Host, User: u.User}
	u.User = nil
	if without = u.String(); clone.HoldsSecret(without) {
		return address, login // in its query, too
	}
	return without, daypass.NewSecret(held.String())
}

// address is what is fetched from, with the login for its server, if there is one. It
// is for package snapshot only, which makes a header of it.
func (a Ask) address() string {
	if a.Login.IsZero() {
		return a.URL
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return a.URL
	}
	held, err := url.Parse(a.Login.Reveal())
	if err != nil || !strings.EqualFold(held.Scheme, u.Scheme) || !strings.EqualFold(held.Host, u.Host) {
		return a.URL // another server, to which an address has led
	}
	u.User = held.User
	return u.String()
}

// warnOfLogin tells who pulled with a link that is no secret any more.
func (r *run) warnOfLogin() {
	if r.ask.Login.IsZero() {
		return
	}
	host := "its host"
	if u, err := url.Parse(r.ask.URL); err == nil {
		host = u.Host
	}
	r.rep.Notes = append(r.rep.Notes, fmt.Sprintf(
		"This link holds a password or token for %s. Whoever has the link can use it: tell its maker, who should end it and use daypass instead.", host))
}
