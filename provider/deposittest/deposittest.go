// Package deposittest is what tests of readers of archives have in common: it leads
// the contract's weather to the stand-ins.
package deposittest

import (
	"net/http"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/providertest"
)

// A Site is a stand-in.
type Site interface {
	http.Handler
	FailNth(n int, match func(*http.Request) bool, f fake.Fault) (stop func())
	Requests() []fake.Request
}

// Fixture fills in what is the same for all.
func Fixture(s Site, f providertest.ContentsFixture) providertest.ContentsFixture {
	f.NoIDs = true
	f.Secrets = func() []daypass.Secret { return []daypass.Secret{daypass.NewSecret(Token)} }
	f.Asked = func() (out []providertest.Asked) {
		for _, r := range s.Requests() {
			out = append(out, providertest.Asked{Method: r.Method, Host: r.Host, Secret: r.Token != "" || strings.Contains(r.RawQuery, Token)})
		}
		return out
	}
	f.Break = func(w providertest.Failure, nth int) func() {
		return s.FailNth(nth, nil, map[providertest.Failure]fake.Fault{
			providertest.Page: {Kind: fake.FaultHTML502}, providertest.Hang: {Kind: fake.FaultHang}, providertest.Reset: {Kind: fake.FaultReset},
			providertest.Truncated: {Kind: fake.FaultTruncated}, providertest.Cut: {Kind: fake.FaultCutJSON}, providertest.Lost: {Kind: fake.FaultLost},
			providertest.Limited: {Status: 429, Header: http.Header{"Retry-After": {"90"}}}, providertest.Spent: {Status: 503},
			providertest.Elsewhere: {Kind: fake.FaultRedirect, URL: "https://evil.example/"},
			providertest.Portal:    {Status: 404, Body: "<html>Please sign in to the network</html>"},
		}[w])
	}
	return f
}

// Token is what somebody is known by who may see more.
const Token = "the token of ada at the archive"

// Flat are the contract's files that a site without folders can hold.
func Flat() (out []providertest.File) {
	for _, f := range providertest.Tree() {
		switch {
		case f.Parts[0] == "twice.txt" || f.Parts[0] == "both" || f.Parts[0] == ".." || strings.ContainsAny(f.Parts[0], `/\`):
		case len(f.Parts) == 1:
			out = append(out, f)
		case f.Parts[0] == "lab1":
			out = append(out, providertest.File{Parts: f.Parts[len(f.Parts)-1:], Text: f.Text})
		}
	}
	return append(out, providertest.File{Parts: []string{"O'Hara ünï%20.txt"}, Text: "signs"})
}

// Folders are the contract's files that a site of folders can hold.
func Folders() (out []providertest.File) {
	for _, f := range providertest.Tree() {
		if f.Parts[0] != "twice.txt" && f.Parts[0] != "both" && f.Parts[0] != ".." && !strings.ContainsAny(f.Parts[0], `/\`) {
			out = append(out, f)
		}
	}
	return append(out, providertest.File{Parts: []string{"O'Hara ünï%20.txt"}, Text: "signs"})
}

// Files writes files as the stand-ins have them.
func Files(files []providertest.File) (out []fake.DepositFile) {
	for _, f := range files {
		n := len(f.Parts) - 1
		out = append(out, fake.DepositFile{Folder: strings.Join(f.Parts[:n], "/"), Name: f.Parts[n], Text: f.Text})
	}
	return out
}
