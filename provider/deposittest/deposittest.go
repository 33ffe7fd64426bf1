// Package deposittest is what tests of readers of archives have in common: it leads
// the contract's weather to the stand-ins.
package deposittest

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

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
	f.Asked = func() []providertest.Asked { return Asked(s) }
	f.Break = Breaks(s, nil, fake.Fault{Status: 429, Header: http.Header{"Retry-After": {"90"}}}, fake.Fault{Status: 503})
	return f
}

// Asked is what a stand-in has been asked, as the contract wants it.
func Asked(s Site) (out []providertest.Asked) {
	for _, r := range s.Requests() {
		out = append(out, providertest.Asked{Method: r.Method, Host: r.Host, Secret: r.Token != "" || strings.Contains(r.RawQuery, Token)})
	}
	return out
}

// Breaks brings the contract's failures about for what match lets through; limited and
// spent are the stand-in's own words for these.
func Breaks(s Site, match func(*http.Request) bool, limited, spent fake.Fault) func(providertest.Failure, int) func() {
	faults := map[providertest.Failure]fake.Fault{
		providertest.Page: {Kind: fake.FaultHTML502}, providertest.Hang: {Kind: fake.FaultHang}, providertest.Reset: {Kind: fake.FaultReset},
		providertest.Truncated: {Kind: fake.FaultTruncated}, providertest.Cut: {Kind: fake.FaultCutJSON}, providertest.Lost: {Kind: fake.FaultLost},
		providertest.Limited: limited, providertest.Spent: spent,
		providertest.Elsewhere: {Kind: fake.FaultRedirect, URL: "https://evil.example/"},
		providertest.Portal:    {Status: http.StatusNotFound, Body: "<html>Please sign in to the network</html>"},
	}
	return func(f providertest.Failure, nth int) func() { return s.FailNth(nth, match, faults[f]) }
}

// Token is what somebody is known by who may see more.
const Token = "the token of ada at the archive"

// Secret is that, as readers ask for it.
func Secret(context.Context) (daypass.Secret, error) { return daypass.NewSecret(Token), nil }

// Zip packs files below top.
func Zip(t *testing.T, top string, files []providertest.File) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(top + strings.Join(f.Parts, "/"))
		if err == nil {
			_, err = io.WriteString(w, f.Text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Program is a peer that the Makefile installs, by the variable that names it.
func Program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatalf("%s is not set", variable)
		}
		t.Skipf("%s is not set: make test does", variable)
	}
	return path
}

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

// Plant lays files into folders as a site of ids holds them. folder makes one in
// another, the first in root, and file a file; both say its id. n counts the files, and
// depth the folders above. It returns the files' ids by their parts, with NUL between.
func Plant[ID any](root ID, files []providertest.File, folder func(n, depth int, name string, in ID) ID, file func(n int, f providertest.File, in ID) ID) map[string][]ID {
	ids, folders := map[string][]ID{}, map[string]ID{"": root}
	for n, f := range files {
		parent := ""
		for depth := range f.Parts[:len(f.Parts)-1] {
			path := strings.Join(f.Parts[:depth+1], "\x00")
			if _, ok := folders[path]; !ok {
				folders[path] = folder(n, depth, f.Parts[depth], folders[parent])
			}
			parent = path
		}
		key := strings.Join(f.Parts, "\x00")
		ids[key] = append(ids[key], file(n, f, folders[parent]))
	}
	return ids
}

// Secrets are what a stand-in calls secret.
func Secrets(texts []string) (out []daypass.Secret) {
	for _, text := range texts {
		out = append(out, daypass.NewSecret(text))
	}
	return out
}

// Account is a service account at Google.
const Account = "ph142@campus-hub.iam.gserviceaccount.com"

// A Key is one of its, as its file and as a stand-in knows it. Its name is key-1.
type Key struct {
	File   []byte
	Public string
}

// NewKey makes the account's key, which takes a while.
func NewKey() Key {
	file, public, err := fake.NewKeyFile(rand.Reader, Account, "key-1")
	if err != nil {
		panic(err)
	}
	return Key{file, public}
}

// Keys are the account's keys by name, for a seed.
func (k Key) Keys() map[string]string { return map[string]string{"key-1": k.Public} }

// Writes changes a file of a stand-in that knows folders and names.
func Writes(write func(folder, name, text string)) func(parts []string, text string) {
	return func(parts []string, text string) {
		n := len(parts) - 1
		write(strings.Join(parts[:n], "/"), parts[n], text)
	}
}
