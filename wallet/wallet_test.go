package wallet

import (
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

var now = time.Unix(1_800_000_000, 0).UTC()

func env(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

// named is the options of a wallet in dir.
func named(dir string) Options {
	return Options{Getenv: env(map[string]string{"DAYPASS_RUNTIME_DIR": dir}), UID: os.Geteuid(), Now: func() time.Time { return now }}
}

func entry(repo string, change ...func(*Entry)) Entry {
	e := Entry{
		Authority: Login, Scheme: "https", Origin: "login", ProviderName: "GitHub",
		Credential: daypass.Credential{
			Scope:   daypass.Scope{Host: "github.com", Access: daypass.Write, Until: now.Add(8 * time.Hour)},
			Account: "octocat", Username: "x-access-token", Token: daypass.NewSecret("ghu_" + repo + "0123456789abcdef"),
		},
		WebURL: "https://github.com", APIURL: "https://api.github.com", AppURL: "https://github.com/apps/x", ClientID: "Iv23li0123",
	}
	if repo == "" {
		e.Credential.Scope.All = true
	} else {
		r, _ := daypass.ParseRepo(repo)
		e.Credential.Scope.Repos = []daypass.Repo{r}
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func want(repo string, change ...func(*Want)) Want {
	w := Want{Authority: Login, Scheme: "https", Scope: daypass.Scope{Host: "github.com", Access: daypass.Read, All: repo == ""}}
	if repo != "" {
		r, _ := daypass.ParseRepo(repo)
		w.Scope.Repos = []daypass.Repo{r}
	}
	for _, f := range change {
		f(&w)
	}
	return w
}

func mustOpen(t testing.TB, o Options) *Wallet {
	t.Helper()
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustPut(t testing.TB, w *Wallet, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := w.Put(e); err != nil {
			t.Fatal(err)
		}
	}
}

// token returns the token that is found, or "".
func token(t testing.TB, w *Wallet, wanted Want) string {
	t.Helper()
	e, ok, err := w.Find(wanted)
	if err != nil || ok == e.Credential.Token.IsZero() {
		t.Errorf("Find(%+v) = %v, %v", wanted, ok, err)
	}
	return e.Credential.Token.Reveal()
}

func TestFind(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	withID := func(id int64) func(*Entry) { return func(e *Entry) { e.Credential.Scope.Repos[0].ID = id } }
	named := func(s string) func(*Entry) { return func(e *Entry) { e.Credential.Token = daypass.NewSecret(s) } }
	mustPut(t, w,
		entry("", named("all")), entry("o/a", withID(42), named("a")), entry("o/b", named("b")),
		entry("o/b", named("b-read"), func(e *Entry) { e.Credential.Scope.Access = daypass.Read }),
		entry("o/b", named("b-two"), func(e *Entry) {
			e.Credential.Scope.Repos = append(e.Credential.Scope.Repos, daypass.Repo{Owner: "o", Name: "c"})
		}),
		entry("o/e", named("expired"), func(e *Entry) {
			e.Credential.Scope.Until = now.Add(-time.Second)
			e.RenewUntil = now.Add(time.Hour)
		}),
		entry("", named("pass"), func(e *Entry) { e.Authority = PresentedBy("u", "t") }),
		entry("", named("loop"), func(e *Entry) { e.Scheme, e.Credential.Scope.Host = "http", "localhost:80" }),
	)
	for _, c := range []struct {
		name string
		want Want
		out  string
	}{
		{"whole host", want(""), "all"},
		{"by name what is known by name and id", want("O/A"), "a"},
		{"narrowest, with the most access", want("o/b"), "b"},
		{"in a set of two", want("o/c"), "b-two"},
		{"only the whole host has it", want("o/x"), "all"},
		{"expired: the next", want("o/e"), "all"},
		{"another id", want("o/a", func(w *Want) { w.Scope.Repos[0].ID = 43 }), "all"},
		{"another authority", want("o/a", func(w *Want) { w.Authority = PresentedBy("u", "t") }), "pass"},
		{"nobody's authority", want("o/a", func(w *Want) { w.Authority = "" }), ""},
		{"http", want("o/a", func(w *Want) { w.Scheme = "http" }), ""},
		{"http to loopback", want("", func(w *Want) { w.Scheme, w.Scope.Host = "http", "localhost:80" }), "loop"},
		{"https to the same", want("", func(w *Want) { w.Scope.Host = "localhost:80" }), ""},
		{"no host", want("", func(w *Want) { w.Scope.Host = "" }), ""},
		{"no repository", want("o/a", func(w *Want) { w.Scope.Repos = nil }), ""},
		{"no access", want("o/a", func(w *Want) { w.Scope.Access = daypass.NoAccess }), ""},
		{"good for longer than any", want("o/a", func(w *Want) { w.Margin = 9 * time.Hour }), ""},
		{"account", want("o/a", func(w *Want) { w.Username = "OctoCat" }), "a"},
		{"another account", want("o/a", func(w *Want) { w.Username = "mallory" }), ""},
	} {
		if got := token(t, w, c.want); got != c.out {
			t.Errorf("%s: Find = %q, want %q", c.name, got, c.out)
		}
	}
}

func TestPutReplacesTheSameKey(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	second := entry("O/A", func(e *Entry) { e.Credential.Token = daypass.NewSecret("second") })
	mustPut(t, w, entry("o/a"), entry("o/b"), second)
	entries, _, err := w.List()
	if err != nil || len(entries) != 2 || token(t, w, want("o/a")) != "second" {
		t.Errorf("List = %d entries, %v; want 2, the second in place of the first", len(entries), err)
	}
}

func TestPutRefuses(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	for name, change := range map[string]func(*Entry){
		"no authority":   func(e *Entry) { e.Authority = "" },
		"no scheme":      func(e *Entry) { e.Scheme = "" },
		"no token":       func(e *Entry) { e.Credential.Token = daypass.Secret{} },
		"no username":    func(e *Entry) { e.Credential.Username = "" },
		"no host":        func(e *Entry) { e.Credential.Scope.Host = "" },
		"capital host":   func(e *Entry) { e.Credential.Scope.Host = "GitHub.com" },
		"no end":         func(e *Entry) { e.Credential.Scope.Until = time.Time{} },
		"expired":        func(e *Entry) { e.Credential.Scope.Until = now },
		"no access":      func(e *Entry) { e.Credential.Scope.Access = daypass.NoAccess },
		"tab in account": func(e *Entry) { e.Credential.Account = "a\tb" },
		"line in token":  func(e *Entry) { e.Credential.Token = daypass.NewSecret("a\nentry\tx") },
		"line in URL":    func(e *Entry) { e.AppURL = "https://x\n" },
		"escape":         func(e *Entry) { e.ProviderName = "\x1b[2J" },
		"comma in a name": func(e *Entry) {
			e.Credential.Scope.All, e.Credential.Scope.Repos = false, []daypass.Repo{{Owner: "o", Name: "a,b/c"}}
		},
		"http elsewhere":   func(e *Entry) { e.Scheme = "http" },
		"host with a path": func(e *Entry) { e.Credential.Scope.Host = "github.com/x" },
		"host with a user": func(e *Entry) { e.Credential.Scope.Host = "x@github.com" },
		"host in Unicode":  func(e *Entry) { e.Credential.Scope.Host = "g\u00eethub.com" },
		"host with a dot":  func(e *Entry) { e.Credential.Scope.Host = "github.com." },
		"http URL":         func(e *Entry) { e.WebURL = "http://github.com" },
		"script URL":       func(e *Entry) { e.AppURL = "javascript:alert(1)" },
		"file URL":         func(e *Entry) { e.APIURL = "file:///etc/passwd" },
		"URL of a user":    func(e *Entry) { e.APIURL = "https://github.com@evil.example/" },
		"URL with a space": func(e *Entry) { e.AppURL = "https://github.com/ x" },
		"URL of no host":   func(e *Entry) { e.AppURL = "https:///x" },
		"loopback look":    func(e *Entry) { e.AppURL = "http://127.0.0.1.evil.example/" },
		"C1 in a name":     func(e *Entry) { e.Name = "a\u009b2Jb" },
		"no UTF-8":         func(e *Entry) { e.Name = "a\x9b2Jb" },
		"bidi in account":  func(e *Entry) { e.Credential.Account = "octo\u202ecat" },
		"bidi isolate":     func(e *Entry) { e.ProviderName = "\u2066GitHub" },
		"zero width":       func(e *Entry) { e.Email = "a\u200b@example.org" },
		"byte order mark":  func(e *Entry) { e.ClientID = "\ufeffIv1" },
		"DEL in origin":    func(e *Entry) { e.Origin = "login\x7f" },
		"bidi in seen":     func(e *Entry) { e.Seen = []string{"o/\u202ex"} },
		"tab in authority": func(e *Entry) { e.Authority = "a\tb" },
		"too long a token": func(e *Entry) { e.Credential.Token = daypass.NewSecret(strings.Repeat("x", maxEntry)) },
	} {
		if err := w.Put(entry("", change)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Put = %v, want ErrInvalid", name, err)
		}
		switch name {
		case "expired", "DEL in origin", "comma in a name":
			continue // Decode knows no clock, Encode sets the origin, and a comma parts two names
		}
		if got, err := Decode(Encode([]Entry{entry("", change)})); err == nil {
			t.Errorf("%s: Decode = %+v, want an error", name, got)
		}
	}
	for name, change := range map[string]func(*Entry){
		"URL of a port":      func(e *Entry) { e.WebURL = "https://GIT.example:8443/x?y#z" },
		"loopback URL":       func(e *Entry) { e.APIURL = "http://127.0.0.1:8080/api/v3" },
		"no URL":             func(e *Entry) { e.WebURL, e.APIURL, e.AppURL = "", "", "" },
		"name with accents":  func(e *Entry) { e.Name = "Zo\u00eb \u5f20\u4f1f" },
		"http to loopback":   func(e *Entry) { e.Scheme, e.Credential.Scope.Host = "http", "[::1]:80" },
		"nothing for people": func(e *Entry) { e.ProviderName, e.Credential.Account = "", "" },
	} {
		if err := w.Put(entry("", change)); err != nil {
			t.Errorf("%s: Put = %v", name, err)
		}
	}
}

func TestEndsAreRemembered(t *testing.T) {
	at := now
	o := named(t.TempDir() + "/w")
	o.Now = func() time.Time { return at }
	w := mustOpen(t, o)
	mustPut(t, w, entry("o/a"))
	if gone, err := w.Remove(func(e Entry) bool { return true }, Rejected); err != nil || len(gone) != 1 {
		t.Fatalf("Remove = %v, %v", gone, err)
	}
	_, ends, err := w.List()
	wantEnd := Ended{Authority: Login, Host: "github.com", Account: "octocat", ProviderName: "GitHub", At: now, Reason: Rejected}
	if err != nil || len(ends) != 1 || ends[0] != wantEnd {
		t.Fatalf("ends = %+v, %v; want %+v", ends, err, wantEnd)
	}
	mustPut(t, w, entry("o/a"))
	if _, ends, _ := w.List(); len(ends) != 0 {
		t.Errorf("ends after a new login = %+v, want none", ends)
	}
	at = now.Add(9 * time.Hour)
	entries, ends, _ := w.List()
	if len(entries) != 0 || len(ends) != 1 || ends[0].Reason != Expired || !ends[0].At.Equal(now.Add(8*time.Hour)) {
		t.Errorf("after it expired: %+v, %+v", entries, ends)
	}
	at = now.Add(8*time.Hour + keepEnded)
	if _, ends, _ := w.List(); len(ends) != 0 {
		t.Errorf("ends after a week = %+v, want none", ends)
	}
	mustPut(t, w, entry("o/b", func(e *Entry) { e.Credential.Scope.Until = at.Add(time.Hour) }))
	b, err := os.ReadFile(w.Place().Path + "/wallet")
	if err != nil || strings.Contains(string(b), entry("o/a").Credential.Token.Reveal()) {
		t.Errorf("the file still holds an expired token: %v", err)
	}
}

func TestSeen(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	long := make([]string, 1000)
	for i := range long {
		long[i] = "owner/repository-" + strconv.Itoa(i)
	}
	mustPut(t, w, entry("", func(e *Entry) { e.Seen, e.SeenComplete = long, true }))
	e, _, _ := w.Find(want("x/y"))
	if e.SeenComplete || len(e.Seen) != 0 || !e.Saw(daypass.Repo{Owner: "x", Name: "y"}) {
		t.Errorf("a list that is too long is kept as %d names, complete %v", len(e.Seen), e.SeenComplete)
	}
}

func TestEncodeLeavesRenewalBehind(t *testing.T) {
	in := entry("o/a", func(e *Entry) {
		e.Refresh, e.RefreshUntil, e.RenewUntil = daypass.NewSecret("ghr_x"), now.Add(time.Hour), now.Add(time.Hour)
	})
	text := Encode([]Entry{in})
	out, err := Decode(text)
	if err != nil || len(out) != 1 || out[0].Origin != "copy" || !out[0].Refresh.IsZero() || out[0].Renewable(now) || !out[0].SameKey(in) {
		t.Errorf("Decode(Encode) = %+v, %v", out, err)
	}
	for i := range text {
		if _, err := Decode(text[:i]); err == nil {
			t.Errorf("Decode took %d of %d bytes", i, len(text))
		}
	}
	if _, err := Decode(append(text, 'x')); err == nil {
		t.Error("Decode took more than what was written")
	}
	if _, err := Decode(book{entries: []Entry{in}}.append(nil)); err == nil {
		t.Error("Decode took a refresh token")
	}
}

// Every field survives being written down: a field that is forgotten in the
// form fails here.
func TestEveryFieldIsKept(t *testing.T) {
	in := entry("o/a", func(e *Entry) {
		e.Seen, e.SeenComplete, e.FallThrough = []string{"o/a", "p/*"}, true, true
		e.Refresh, e.RefreshUntil, e.RenewUntil = daypass.NewSecret("ghr_x"), now.Add(time.Hour), now.Add(2*time.Hour)
		e.Credential.Scope.Repos[0].ID = 7
		e.Name, e.Email = "Octo Cat", "o@example.org"
	})
	v := reflect.ValueOf(in)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the test leaves %s empty", v.Type().Field(i).Name)
		}
	}
	got, err := parseBook(string(book{entries: []Entry{in}}.append(nil)))
	if err != nil || len(got.entries) != 1 {
		t.Fatalf("parseBook = %v, %v", got, err)
	}
	out := got.entries[0]
	if !out.Refresh.Equal(in.Refresh) || !out.Credential.Token.Equal(in.Credential.Token) {
		t.Error("a secret changed")
	}
	out.Refresh, out.Credential.Token = in.Refresh, in.Credential.Token
	if !reflect.DeepEqual(in, out) {
		t.Errorf("wrote %+v\n read %+v", in, out)
	}
}

// Whatever a wallet holds, nothing is found for a host, port or scheme that no
// entry has byte for byte.
func TestNothingForOtherHosts(t *testing.T) {
	hosts := []string{"github.com", "github.com:443", "github.co", "hub.com", "a.github.com", "localhost", "localhost:80"}
	schemes := []string{"https", "http"}
	repos := []string{"", "o/a", "o/b"}
	pick := func(list []string) string { return list[rand.IntN(len(list))] }
	for range 300 {
		w := mustOpen(t, named(t.TempDir()+"/w"))
		have := map[string]bool{}
		for range rand.IntN(4) {
			e := entry(pick(repos), func(e *Entry) { e.Scheme, e.Credential.Scope.Host = pick(schemes), pick(hosts) })
			if !daypass.Loopback(e.Credential.Scope.Host) {
				e.Scheme = "https"
			}
			mustPut(t, w, e)
			have[e.Scheme+"://"+e.Credential.Scope.Host] = true
		}
		for range 20 {
			wanted := want(pick(repos), func(w *Want) { w.Scheme, w.Scope.Host = pick(schemes), pick(hosts) })
			e, ok, err := w.Find(wanted)
			if err != nil {
				t.Fatal(err)
			}
			if ok && (!have[wanted.Scheme+"://"+wanted.Scope.Host] || e.Scheme != wanted.Scheme || e.Credential.Scope.Host != wanted.Scope.Host) {
				t.Fatalf("Find(%+v) = %+v", wanted, e)
			}
			entries, _, _ := w.List()
			if best := Narrowest(entries, &wanted, now); ok != (best >= 0) || ok && !entries[best].SameKey(e) {
				t.Fatalf("Find(%+v) = %+v, Narrowest says %d", wanted, e, best)
			}
		}
	}
}

func FuzzWallet(f *testing.F) {
	f.Add(string(book{entries: []Entry{entry(""), entry("o/a")}, ended: []Ended{ended(entry(""), now, Expired)}}.append(nil)))
	f.Add("daypass-wallet 1\ncount\t0\n")
	f.Add("daypass-wallet 2\n")
	f.Add("daypass-wallet 1\nentry\t\t\ncount\t1\n")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := parseBook(s)
		if err != nil {
			return
		}
		for _, e := range b.entries {
			if len(join(e.Seen)) > maxSeen {
				return // shortened on purpose
			}
		}
		again := string(b.append(nil))
		c, err := parseBook(again)
		if err != nil || string(c.append(nil)) != again {
			t.Errorf("parse, format, parse of %q: %v", s, err)
		}
	})
}

// A pass of white space is one that failed to arrive; it does not fall back to
// the hub's token or the login.
func TestBlankPass(t *testing.T) {
	for text, want := range map[string]error{"": nil, " ": ErrToken, "\n": ErrToken, " dp_x\n": nil} {
		m := map[string]string{"DAYPASS_TOKEN": text, "DAYPASS_TOKEN_FILE": "", "DAYPASS_URL": "https://b.example", "JUPYTERHUB_API_TOKEN": "hub"}
		a, err := Presenting(env(m))
		if err != want || (a == "") != (want != nil) {
			t.Errorf("Presenting with %q = %q, %v; want %v", text, a, err, want)
		}
	}
}

// A pass that others can read is theirs too; what root mounted into a container
// can be read by all of it.
func TestTokenFileMistake(t *testing.T) {
	const file = syscall.S_IFREG
	for _, c := range []struct {
		name            string
		mode, owner, me uint32
		good            bool
	}{
		{"own", file | 0o600, 1000, 1000, true},
		{"own, read by its group", file | 0o640, 1000, 1000, false},
		{"own, read by all", file | 0o604, 1000, 1000, false},
		{"own, written by all", file | 0o602, 1000, 1000, false},
		{"mounted", file | 0o444, 0, 1000, true},
		{"mounted, written by all", file | 0o646, 0, 1000, false},
		{"another's", file | 0o600, 1001, 1000, false},
		{"another's, read by root", file | 0o600, 1001, 0, false},
		{"a pipe", syscall.S_IFIFO | 0o600, 1000, 1000, false},
	} {
		if err := tokenFileMistake(c.mode, c.owner, c.me); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
