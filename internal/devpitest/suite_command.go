package devpitest

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clientCases need no server's answer but to log in.
func clientCases() []tokenCase {
	return []tokenCase{
		{"the help lists the commands", func(t *testing.T, r *tokenRig) {
			help := r.command(t, "--help").All()
			for _, name := range []string{"token-create", "token-delete", "token-derive", "token-inspect", "token-list", "token-login"} {
				contains(t, help, name)
			}
		}},
		{"the help names permissions and none of user_*", func(t *testing.T, r *tokenRig) {
			help := r.command(t, "token-create", "--help").All()
			for _, p := range []string{"del_entry", "del_project", "del_verdata", "index_create", "index_delete", "index_modify", "pkg_read", "toxresult_upload", "upload"} {
				contains(t, help, p)
			}
			for _, p := range []string{"user_create", "user_delete", "user_login", "user_modify"} {
				if strings.Contains(help, p) {
					t.Errorf("%s is in the help", p)
				}
			}
		}},
		{"expires in ten seconds", func(t *testing.T, r *tokenRig) {
			r.login(t, r.name, password)
			before := time.Now().Unix()
			got := number(t, r.create(t, "-e", "10s"), "expires")
			if got < before+9 || got > time.Now().Unix()+11 {
				t.Errorf("it is %d, and expires is %d", before, got)
			}
		}},
		{"not before ten seconds ago", func(t *testing.T, r *tokenRig) {
			before := time.Now().Unix()
			got := r.notBefore(t, "-10s")
			if got < before-11 || got > time.Now().Unix()-9 {
				t.Errorf("it is %d, and not_before is %d", before, got)
			}
		}},
	}
}

// notBefore is what a client makes of a time. That of devpi-tokens can, and has no
// option for it.
func (r *tokenRig) notBefore(t *testing.T, text string) int64 {
	t.Helper()
	if r.ours {
		narrowed := r.command(t, "token-derive", "--token", r.token(t, nil), "--not-before="+text).Last()
		return number(t, narrowed, "not_before")
	}
	o := r.desk.Python("from types import SimpleNamespace as N\nfrom devpi_tokens.client import get_not_before_from_args as f\nprint(f(None, N(not_before=" + strconv.Quote(text) + ")))")
	n, err := strconv.ParseInt(o.Last(), 10, 64)
	if err != nil {
		t.Fatal(o.All())
	}
	return n
}

// commandCases run the commands against the server.
func commandCases() []tokenCase {
	return []tokenCase{
		{"create", func(t *testing.T, r *tokenRig) {
			r.login(t, r.name, password)
			token := r.create(t)
			if user, id := r.id(t, token); user != r.name || id == "" {
				t.Errorf("user %q, id %q", user, id)
			}
			if got := names(t, token); !slices.Equal(got, []string{"expires"}) {
				t.Errorf("%q", got)
			}
		}},
		{"create with permissions", func(t *testing.T, r *tokenRig) {
			r.listed(t, "allowed=pkg_read,pypi_submit,toxresult_upload", "-a", "pkg_read", "--allowed=toxresult_upload , pypi_submit")
		}},
		{"create for indexes", func(t *testing.T, r *tokenRig) {
			r.listed(t, "indexes=bar,foo,ham", "-i", "foo", "--indexes=bar , ham")
		}},
		{"create for projects", func(t *testing.T, r *tokenRig) {
			r.listed(t, "projects=bar,foo,ham", "-p", "foo", "--projects=bar , ham")
		}},
		{"derive", caseDerive},
		{"inspect a file", func(t *testing.T, r *tokenRig) {
			r.login(t, r.name, password)
			token := r.create(t)
			_, id := r.id(t, token)
			out := r.command(t, "token-inspect", "-f", writeSecret(t, token)).Out
			for key, value := range map[string]string{"user": r.name, "id": id, "restriction": "expires="} {
				if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
					k, v, _ := strings.Cut(line, ":")
					return strings.TrimSpace(k) == key && strings.HasPrefix(strings.TrimSpace(v), value)
				}) {
					t.Errorf("no %s: %s in:\n%s", key, value, out)
				}
			}
		}},
		{"list and delete", func(t *testing.T, r *tokenRig) {
			r.login(t, r.name, password)
			_, id := r.id(t, r.create(t))
			ordered(t, r.command(t, "token-list").Out, "Tokens for '"+r.name+"':", "    "+id)
			contains(t, r.command(t, "token-delete", id).Out, "token "+id+" deleted")
			contains(t, r.command(t, "token-list").Out, "No tokens for '"+r.name+"'")
		}},
	}
}

// loginCases log in with tokens, and make them for others.
func loginCases() []tokenCase {
	return []tokenCase{
		{"log in with a token", func(t *testing.T, r *tokenRig) {
			r.login(t, r.name, password)
			token := r.create(t)
			r.logout(t)
			contains(t, r.command(t, "token-login", "--token", token).Out, "logged in '"+r.name+"'")
			contains(t, r.desk.Devpi("use").Out, "logged in as "+r.name)
		}},
		{"a token is no password", func(t *testing.T, r *tokenRig) {
			r.login(t, r.name, password)
			token := r.create(t)
			r.logout(t)
			o := r.desk.Devpi("login", "--password", token, r.name)
			contains(t, o.All(), "401 Unauthorized", "could not be authenticated")
			if o.Code == 0 {
				t.Error("logged in")
			}
		}},
		{"log in with a token that was deleted", func(t *testing.T, r *tokenRig) {
			r.login(t, r.name, password)
			token := r.create(t)
			_, id := r.id(t, token)
			r.command(t, "token-delete", id)
			r.logout(t)
			o := r.Command(r.desk, "token-login", "--token", token)
			if r.Kind == Plugin {
				contains(t, o.All(), "The token id "+id+" doesn't exist")
			}
			if o.Code == 0 || strings.Contains(o.All(), "logged in '") {
				t.Errorf("logged in: %s", o.All())
			}
			// Theirs keeps the dead token, and so cannot even say "use" from then on.
			if r.ours {
				contains(t, r.desk.Devpi("use").Out, "not logged in")
			}
		}},
		{"nobody makes one for another", func(t *testing.T, r *tokenRig) {
			r.AddUser(t, r.name+"_other", password)
			r.login(t, r.name, password)
			o := r.Command(r.desk, "token-create", "--user", r.name+"_other")
			contains(t, o.All(), "403 Forbidden: Access was denied to this resource.", "Unauthorized: user_token_create failed permission check")
			if o.Code == 0 {
				t.Error("it ended well")
			}
		}},
		{"root makes one for another", func(t *testing.T, r *tokenRig) {
			r.login(t, "root", r.Root)
			user, id := r.id(t, r.create(t, "-u", r.name))
			if user != r.name {
				t.Errorf("a token of %q", user)
			}
			ordered(t, r.command(t, "token-list", "-u", r.name).Out, "Tokens for '"+r.name+"':", "    "+id)
		}},
		{"root makes one for years, or without end", caseRootLong},
	}
}

// listed makes a token limited by a list, in two options with spaces, and looks at
// it in two ways.
func (r *tokenRig) listed(t *testing.T, want string, options ...string) {
	t.Helper()
	r.login(t, r.name, password)
	token := r.create(t, append(options, "-y")...)
	user, id := r.id(t, token)
	kind, _, _ := strings.Cut(want, "=")
	sorted := []string{kind, "expires"}
	slices.Sort(sorted)
	if got := names(t, token); user != r.name || !slices.Equal(got, sorted) || !slices.Contains(Caveats(t, token), want) {
		t.Errorf("user %q, %q", user, Caveats(t, token))
	}
	contains(t, r.command(t, "token-inspect", "--token", token).Out, ": "+id, ": "+want)
	lines := []string{"    " + id, "        restrictions:", "            " + want, "            expires=*"}
	if kind != "allowed" {
		lines[2], lines[3] = lines[3], lines[2]
	}
	ordered(t, r.command(t, "token-list").Out, lines...)
}

func caseDerive(t *testing.T, r *tokenRig) {
	r.login(t, r.name, password)
	token := r.create(t)
	o := r.Command(r.desk, "token-derive", "--token", token)
	contains(t, o.All(), "No restrictions provided")
	if o.Code == 0 {
		t.Error("derived with nothing to add")
	}
	shorter := r.command(t, "token-derive", "--token", token, "-e", "1 day").Last()
	if a, b := number(t, token, "expires"), number(t, shorter, "expires"); b >= a {
		t.Errorf("expires %d, then %d", a, b)
	}
	if n := strings.Count(r.command(t, "token-inspect", "--token", shorter).Out, ": expires="); n != 2 {
		t.Errorf("%d ends are shown", n)
	}
	fewer := r.command(t, "token-derive", "--token", token, "-i", "bar").Last()
	if got := Caveats(t, fewer); got[len(got)-1] != "indexes=bar" || !slices.Equal(names(t, fewer), []string{"expires", "indexes"}) {
		t.Errorf("%q", got)
	}
	contains(t, r.command(t, "token-inspect", "--token", fewer).Out, ": expires=", ": indexes=bar")
}

func caseRootLong(t *testing.T, r *tokenRig) {
	r.login(t, "root", r.Root)
	never := r.create(t, "-u", r.name, "-e", "never")
	long := r.create(t, "-u", r.name, "-e", "3 years")
	for token, want := range map[string]string{never: "expires=never", long: "expires=" + strconv.FormatInt(number(t, long, "expires"), 10)} {
		user, id := r.id(t, token)
		if user != r.name {
			t.Errorf("a token of %q", user)
		}
		contains(t, r.command(t, "token-inspect", "--token", token).Out, ": "+id, ": "+want)
		ordered(t, r.command(t, "token-list", "-u", r.name).Out, "    "+id, "        restrictions:", "            "+want+"*")
	}
	if days := (number(t, long, "expires") - time.Now().Unix()) / 86400; days < 1090 || days > 1100 {
		t.Errorf("three years are %d days", days)
	}
}

func (r *tokenRig) logout(t *testing.T) {
	t.Helper()
	contains(t, r.desk.Devpi("logout").Out, "login information deleted")
	contains(t, r.desk.Devpi("use").Out, "not logged in")
}

// writeSecret puts a token into a file that only its owner reads.
func writeSecret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
