package devpitest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A Kind says whose tokens a [Target] takes, where outcomes differ.
type Kind int

const (
	// Plugin is devpi-tokens itself, on a server with Options.Identity.
	Plugin Kind = iota
	// Compat is a gateway that allows what devpi-tokens does.
	Compat
	// Strict is a gateway as it is by default. Reading needs its permission too.
	Strict
)

// A Target is an index that takes tokens, as clients reach it. Root is its admin.
type Target struct {
	API
	Kind Kind
	// Command runs a command of devpi-tokens, such as "token-create", where the
	// desk's devpi client is logged in; nil means devpi-tokens' own client. Another
	// knows --not-before too.
	Command func(d *Desk, args ...string) Output
	// TokenID takes a token's identifier apart; nil means devpi-tokens' own form,
	// "USER-ID". Cases call it at once.
	TokenID func(token string) (user, id string)
}

// A tokenCase is one of devpi-tokens' own tests, told again.
type tokenCase struct {
	name string
	run  func(*testing.T, *tokenRig)
}

// A tokenRig is a target with somebody new, who has the index "dev".
type tokenRig struct {
	Target
	name string
	who  Auth
	desk *Desk
	ours bool // the commands are not devpi-tokens' own
}

const password = "a word"

// TokenSuite tells the 38 tests of devpi-tokens 1.1.0 again. What a gateway answers
// otherwise on purpose:
//
//   - 14, 20: a token that has ended is refused in the same words as a forged one;
//     a compat one may say what devpi-tokens does.
//   - 26, 29, 32, 33, 35-38: a strict one gives the reason without devpi-tokens'
//     "InvalidMacaroon: " before it.
//   - 34: /+authcheck is not served. A strict one refuses the read itself.
//   - 36-38: a token with PyPI's caveats can be used, where devpi-tokens fails with
//     500 as soon as a permission is asked for.
func TokenSuite(t *testing.T, target Target) {
	// In a group, the cases have ended when this returns.
	t.Run("tokens", func(t *testing.T) {
		n := 0
		for _, cases := range [][]tokenCase{clientCases(), commandCases(), loginCases(), identityCases(), limitCases(), jsonCases()} {
			for _, c := range cases {
				n++
				name := fmt.Sprintf("user%d", n)
				t.Run(fmt.Sprintf("%02d %s", n, c.name), func(t *testing.T) {
					t.Parallel()
					rig := &tokenRig{Target: target, name: name, desk: NewDesk(t), ours: target.Command != nil}
					if !rig.ours {
						rig.Command = (*Desk).Tokens
					}
					rig.who = rig.AddUser(t, name, password)
					c.run(t, rig)
				})
			}
		}
		if n != 38 {
			t.Errorf("%d cases", n)
		}
	})
}

// login logs the desk's devpi client in.
func (r *tokenRig) login(t *testing.T, name, password string) {
	t.Helper()
	for _, args := range [][]string{{"use", r.URL}, {"login", name, "--password", password}} {
		if o := r.desk.Devpi(args...); o.Code != 0 {
			t.Fatalf("devpi %s: %s", args[0], o.All())
		}
	}
}

// command runs one that must succeed.
func (r *tokenRig) command(t *testing.T, args ...string) Output {
	t.Helper()
	o := r.Command(r.desk, args...)
	if o.Code != 0 {
		t.Fatalf("%s: %d\n%s", args[0], o.Code, o.All())
	}
	return o
}

// create runs token-create and returns the token, which is the last line.
func (r *tokenRig) create(t *testing.T, args ...string) string {
	t.Helper()
	token := r.command(t, append([]string{"token-create"}, args...)...).Last()
	if !strings.HasPrefix(token, "devpi-") {
		t.Fatalf("no token: %.80s", token)
	}
	return token
}

// token makes one by HTTP.
func (r *tokenRig) token(t *testing.T, fields map[string]any) string {
	t.Helper()
	return r.Token(t, r.who, r.name, fields)
}

// id takes a token's identifier apart.
func (r *tokenRig) id(t *testing.T, token string) (user, id string) {
	t.Helper()
	if r.TokenID != nil {
		return r.TokenID(token)
	}
	text := string(parseToken(t, token).Id())
	at := strings.LastIndex(text, "-")
	if at < 0 {
		t.Fatalf("an identifier without a user: %q", text)
	}
	return text[:at], text[at+1:]
}

// names are the kinds of a token's caveats, each once, sorted, as devpi-tokens
// lists them. A gateway's own caveats are not among them.
func names(t *testing.T, token string) []string {
	t.Helper()
	var out []string
	for _, c := range Caveats(t, token) {
		name, _, _ := strings.Cut(c, "=")
		if !strings.HasPrefix(name, "dp:") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// number is the value of a token's last caveat of a kind.
func number(t *testing.T, token, name string) int64 {
	t.Helper()
	found := int64(-1)
	for _, c := range Caveats(t, token) {
		if value, ok := strings.CutPrefix(c, name+"="); ok {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			found = n
		}
	}
	if found < 0 {
		t.Fatalf("no %s in %q", name, Caveats(t, token))
	}
	return found
}

// ordered reports whether lines stand in a text in this order, where * at the end
// of one stands for anything.
func ordered(t *testing.T, text string, lines ...string) {
	t.Helper()
	rest := strings.Split(text, "\n")
	for _, want := range lines {
		at := slices.IndexFunc(rest, func(line string) bool {
			line = strings.TrimRight(line, " \r")
			if prefix, ok := strings.CutSuffix(want, "*"); ok {
				return strings.HasPrefix(line, prefix)
			}
			return line == want
		})
		if at < 0 {
			t.Fatalf("no line %q, in order, in:\n%s", want, text)
		}
		rest = rest[at+1:]
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}
