package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/argon2"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// An argon is how devpi-server stretches its secret: its options --argon2-…, with
// its own defaults. Other figures make another key.
type argon struct {
	time, memory uint32 // memory in KiB
	parallelism  uint8
}

func (a *argon) flags(c *cobra.Command) {
	c.Flags().Uint32Var(&a.time, "argon2-time-cost", 16, "as devpi-server was started with")
	c.Flags().Uint32Var(&a.memory, "argon2-memory-cost", 524288, "as devpi-server was started with, in KiB")
	c.Flags().Uint8Var(&a.parallelism, "argon2-parallelism", 8, "as devpi-server was started with")
}

func (a argon) check() error {
	const most = 4 << 20 // KiB
	if a.time == 0 || a.time > 1000 || a.parallelism == 0 || a.memory < 8*uint32(a.parallelism) || a.memory > most {
		return errors.New("the figures of argon2 are none that devpi-server takes")
	}
	return nil
}

// derive makes one of the keys that devpi-server makes of its secret
// (devpi_server.config, derive_key): the salt is what the key is for.
func (a argon) derive(secret []byte, salt string) []byte {
	return argon2.IDKey(secret, []byte(salt), a.time, a.memory, a.parallelism, 16)
}

const (
	sessionSalt = "devpi-server-auth" // signs devpi's sessions
	pluginSalt  = "devpi-tokens"      // the keys of devpi-tokens' tokens are made of it
	keyMark     = "devpi-session-key:1:"
)

// marshalKey writes the gateway's key file, so that devpi's secret file is not
// taken for one.
func marshalKey(key []byte) []byte { return []byte(keyMark + hex.EncodeToString(key) + "\n") }

// parseKey reads what marshalKey wrote.
func parseKey(text daypass.Secret) (daypass.Secret, error) {
	body, ok := strings.CutPrefix(text.Reveal(), keyMark)
	key, err := hex.DecodeString(body)
	if !ok || err != nil || len(key) != 16 {
		return daypass.Secret{}, errors.New(`gateway.key: that is no file of "daypass admin devpi-key"; devpi's own secret file opens more than the gateway needs, and is not taken`)
	}
	return daypass.NewSecret(string(key)), nil
}

const devpiKeyHelp = `Make the key by which a package gateway acts at devpi-server for whoever shows a pass, out of devpi's secret file.

Run it once, as the user who may read that file, and give the result to the gateway's user. The key signs devpi's
sessions, which is to act as any user there, and nothing else: the keys of replicas and of devpi-tokens cannot be made
of it. Give the options --argon2-… that devpi-server is started with, if any.`

func (s *app) devpiKeyCommand() *cobra.Command {
	var secret, out string
	var a argon
	c := &cobra.Command{
		Use: "devpi-key", Short: "Make the key by which a package gateway acts at devpi", Long: devpiKeyHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case secret == "":
				return usage(c, "--secretfile is missing: devpi-server's")
			case out == "":
				return usage(c, "--output is missing: a new file")
			case a.check() != nil:
				return usage(c, a.check().Error())
			}
			return s.devpiKey(secret, out, a)
		},
	}
	c.Flags().StringVar(&secret, "secretfile", "", "devpi-server's secret file, as its option --secretfile has it")
	c.Flags().StringVar(&out, "output", "", "a new file for the key")
	a.flags(c)
	return c
}

func (s *app) devpiKey(secretFile, out string, a argon) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	refuse := func(why, next string) error {
		return &daypass.Problem{Code: "DP-947", What: "no key was made at " + out, Why: why, Next: next}
	}
	dir, err := os.Stat(filepath.Dir(out))
	switch {
	case err != nil:
		return refuse("its folder cannot be looked at: "+plainError(err), "Make the folder first, with mode 0700.")
	case dir.Mode().Perm()&0o022 != 0 && dir.Mode()&os.ModeSticky == 0:
		return refuse("others can write in "+filepath.Dir(out)+", and could put another key there", "Use a folder that only you can write in.")
	}
	secret, err := devpiSecret(secretFile)
	if err != nil {
		return refuse(err.Error(), "Run this as the user that devpi-server runs as, with its own file.")
	}
	switch err := writeNew(out, marshalKey(a.derive(secret, sessionSalt))); {
	case errors.Is(err, fs.ErrExist):
		return refuse("there is a file of that name", "Name a new file.")
	case err != nil:
		return refuse(plainError(err), "Make it as a user who may write there.")
	}
	s.say("Made the key, readable by %s alone: %s\n", userName(os.Geteuid()), out)
	s.say("Give it to the gateway's user, and to nobody else: who has it is any user at devpi, root too.\n\n  chown GATEWAY-USER %s\n", out)
	s.say("In the gateway's configuration:\n\n  gateway:\n    key: file:%s\n", out)
	s.say("It is good until devpi's secret or its options --argon2-… change; \"daypass admin check\" says whether devpi takes it.")
	return nil
}

// devpiSecret reads devpi's secret file as devpi does: every byte counts, a line's
// end too.
func devpiSecret(path string) ([]byte, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	text, err := readGuarded(path, true)
	if err != nil {
		return nil, err
	}
	if len(text) < 32 {
		return nil, fmt.Errorf("%s has %d bytes; devpi-server takes no secret of less than 32", path, len(text))
	}
	return text, nil
}

const devpiImportHelp = `Take over the tokens that devpi-tokens made, so that they go on working through the gateway in front of a devpi-server
without that plugin: their users, ids and limits out of the folder that devpi-export wrote, their keys out of devpi's
secret file. What was derived from them goes on working too.

It says of each token that it leaves why: whoever has it makes a new one. It can be run again; what is here already stays
as it is, ended tokens too. The store forgets those three months after their end: take no export that is older than
that, which could bring one back. Run it as the gateway's user; the secret file is not needed afterwards.`

func (s *app) devpiImportCommand() *cobra.Command {
	var config, export, secret string
	var a argon
	c := &cobra.Command{
		Use: "devpi-import", Short: "Take over the tokens of a devpi-server's devpi-tokens", Long: devpiImportHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case export == "":
				return usage(c, "--export is missing: the folder that devpi-export wrote")
			case secret == "":
				return usage(c, "--secretfile is missing: devpi-server's")
			case a.check() != nil:
				return usage(c, a.check().Error())
			}
			return s.devpiImport(c.Context(), config, export, secret, a)
		},
	}
	configFlag(c, &config)
	c.Flags().StringVar(&export, "export", "", "the folder that devpi-export wrote")
	c.Flags().StringVar(&secret, "secretfile", "", "the secret file that devpi-server ran with")
	a.flags(c)
	return c
}

// A pluginToken is a token as devpi-tokens keeps it in its user's record.
type pluginToken struct {
	user, id string
	since    time.Time // when the user was made
	Key      string    `json:"key"`
	Limits   []string  `json:"restrictions"`
}

func notImported(why, next string) error {
	return &daypass.Problem{Code: "DP-948", What: "no token was taken over", Why: why, Next: next}
}

func (s *app) devpiImport(ctx context.Context, config, export, secretFile string, a argon) (err error) {
	tokens, err := exportedTokens(export)
	if err != nil {
		return notImported(err.Error(), "Name the folder that devpi-export wrote.")
	}
	secret, err := devpiSecret(secretFile)
	if err != nil {
		return notImported(err.Error(), "Give this user a copy of the secret file that devpi-server runs with, mode 0600, and delete it afterwards.")
	}
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	if d.config.Gateway == nil {
		return notImported("the configuration has no gateway", "Write it first: doc/deploy.md, A package gateway.")
	}
	book := d.indexBook()
	root := a.derive(secret, pluginSalt)
	taken, there, left := 0, 0, [][]string{}
	for _, t := range tokens {
		why := t.why()
		if why == "" {
			key, kerr := t.root(root)
			if kerr != nil {
				return kerr
			}
			err := book.Import(ctx, t.user, t.id, t.since, key, t.Limits)
			var r *broker.Refusal
			switch {
			case err == nil:
				taken++
				continue
			case errors.Is(err, store.ErrTaken):
				there++
				continue
			case !errors.As(err, &r):
				return err
			}
			why = r.Problem.Why
		}
		left = append(left, []string{"  " + t.user, t.id, why})
	}
	s.tellImported(d.config.Gateway, taken, there, left)
	return nil
}

func (s *app) tellImported(g *gatewayConfig, taken, there int, left [][]string) {
	s.say("Took over %s; %d were here already.", plural(int64(taken), "token"), there)
	if len(left) > 0 {
		s.say("\nLeft, %s: their owners make new ones where they still need them.", plural(int64(len(left)), "token"))
		s.table(left)
	}
	if taken+there > 0 {
		s.say("\nThey work at %s as they did, held to what the mode %q says. Where one is answered with \"not accepted\", the secret", g.URL, g.Mode)
		s.say("file or the options --argon2-… were not those that it was made with: run this again with the right ones, in an empty store.")
	}
}

// exportedTokens reads the users' tokens out of devpi-export's index
// (devpi_server.importexport, dump version 2).
func exportedTokens(dir string) ([]pluginToken, error) {
	f, err := os.Open(filepath.Join(dir, "dataindex.json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var doc struct {
		Users map[string]struct {
			Created time.Time               `json:"created"`
			Tokens  map[string]*pluginToken `json:"tokens"`
		} `json:"users"`
	}
	const most = 1 << 30
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(&doc); err != nil {
		return nil, fmt.Errorf("%s is no index of devpi-export: %w", f.Name(), err)
	}
	if doc.Users == nil {
		return nil, fmt.Errorf("%s is no index of devpi-export: it has no users", f.Name())
	}
	var out []pluginToken
	for _, user := range slices.Sorted(maps.Keys(doc.Users)) {
		for _, id := range slices.Sorted(maps.Keys(doc.Users[user].Tokens)) {
			t := pluginToken{}
			if kept := doc.Users[user].Tokens[id]; kept != nil {
				t = *kept
			}
			t.user, t.id = user, id
			if at := doc.Users[user].Created; at.Unix() > 0 { // else older than devpi's note of it
				t.since = at.UTC()
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// why says why a token cannot be taken over; "" where it can, as far as its record
// says.
func (t pluginToken) why() string {
	salt, err := base64.RawURLEncoding.DecodeString(t.Key)
	id := pass.Identity{Realm: pass.Realm{Kind: pass.Plugin}, User: t.user, ID: t.id}
	p, merr := pass.Mint(pass.NewKey(make([]byte, 16)), id, t.Limits...)
	switch {
	case err != nil || len(salt) != 32:
		return "its key is not one that devpi-tokens makes"
	case merr != nil:
		return "its name or its limits cannot be in a pass"
	}
	if _, unknown := p.Effective(); len(unknown) > 0 {
		return "a limit of it is not understood: " + t.Limits[unknown[0]-1]
	}
	return ""
}

// root makes a token's root key: its own figures of argon2 are fixed
// (devpi_tokens.server, 1.1.0).
func (t pluginToken) root(secret []byte) ([]byte, error) {
	salt, err := base64.RawURLEncoding.DecodeString(t.Key)
	if err != nil {
		return nil, err
	}
	return argon2.IDKey(secret, salt, 2, 102400, 8, 16), nil
}
