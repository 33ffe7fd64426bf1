package pass

import (
	"bytes"
	"crypto/rand"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

var (
	hubRealm = Realm{Hub, "main"}
	noon     = time.Unix(1795348800, 0)
)

func hubPass(t testing.TB, caveats ...string) Pass {
	t.Helper()
	p, err := Mint(NewKey([]byte("root")), Identity{Realm: hubRealm, ID: "abc"}, caveats...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hubVerifier() Verifier {
	return Verifier{Realm: hubRealm, Keys: func(id Identity) (Key, error) {
		if id.ID != "abc" {
			return Key{}, ErrNoKey
		}
		return NewKey([]byte("root")), nil
	}}
}

// whole are facts that know everything, of a request that the caveats of
// TestEachCaveat allow.
func whole() Facts {
	return Facts{
		Permissions: []string{"upload"}, Indexes: []string{"alice/dev"}, Projects: []string{"River_Tools"}, Host: "github.com",
		Repo: daypass.Repo{Owner: "River-Lab", Name: "data", ID: 42}, Access: daypass.Write, Source: "doi:10.5281/zenodo.1",
		Server: ServerItem("gpu", noon), Address: netip.MustParseAddr("::ffff:192.0.2.7"),
		Digest: "sha256:" + strings.Repeat("ab", 32), SeesTo: KindUses,
	}
}

// TestEachCaveat: what each caveat allows, what it refuses, and that it refuses
// where its fact is missing, whatever else is known.
func TestEachCaveat(t *testing.T) {
	for _, c := range []struct {
		kind   Kinds
		lack   func(*Facts)
		allow  []string
		refuse []string
	}{
		{KindAllowed, func(f *Facts) { f.Permissions = nil }, []string{"allowed=upload", "allowed=pkg_read,upload"}, []string{"allowed=", "allowed=pkg_read", "allowed=pkg_read, upload", "allowed=UPLOAD", "allowed=*"}},
		{KindIndexes, func(f *Facts) { f.Indexes = nil }, []string{"indexes=alice/dev", "indexes=x/y, alice/dev "}, []string{"indexes=", "indexes=dev", "indexes=alice/*", "indexes=Alice/dev", "indexes=alice/de", "indexes=alice/devx"}},
		{KindProjects, func(f *Facts) { f.Projects = nil }, []string{"projects=river-tools", "projects= RIVER.tools ,x"}, []string{"projects=", "projects=river", "projects=rivertools", "projects=*"}},
		{KindProjects, func(f *Facts) { f.Projects = nil }, []string{`[1, ["river-tools"]]`, `[1,["River_Tools"]]`, `{"version": 1, "permissions": {"projects": ["river.tools"]}}`}, []string{`[1, []]`, `[1, ["x"]]`}},
		{KindHost, func(f *Facts) { f.Host = "" }, []string{"dp:host=github.com", "dp:host=a.example,GitHub.com"}, []string{"dp:host=github.com:443", "dp:host=example.com", "dp:host="}},
		{KindRepo, func(f *Facts) { f.Repo = daypass.Repo{} }, []string{"dp:repo=river-lab/data", "dp:repo=river-lab/data#42", "dp:repo=#42,a/b"}, []string{"dp:repo=", "dp:repo=river-lab/data#43", "dp:repo=river-lab/dat", "dp:repo=#4"}},
		{KindAccess, func(f *Facts) { f.Access = daypass.NoAccess }, []string{"dp:access=write"}, []string{"dp:access=read"}},
		{KindSource, func(f *Facts) { f.Source = "" }, []string{"dp:source=doi:10.5281/zenodo.1"}, []string{"dp:source=doi:10.5281/zenodo.12", "dp:source="}},
		{KindServer, func(f *Facts) { f.Server = "" }, []string{"dp:server=" + ServerItem("gpu", noon), "dp:server=gpu@", "dp:server=@,gpu@"}, []string{"dp:server=@", "dp:server=gp@", "dp:server=" + ServerItem("gpu", noon.Add(time.Second)), "dp:server="}},
		{KindAddress, func(f *Facts) { f.Address = netip.Addr{} }, []string{"dp:address=192.0.2.7", "dp:address=192.0.2.0/24", "dp:address=::1,192.0.0.0/16"}, []string{"dp:address=192.0.2.8", "dp:address=::/0", "dp:address="}},
		{KindDigest, func(f *Facts) { f.Digest = "" }, []string{"dp:digest=sha256:" + strings.Repeat("aB", 32)}, []string{"dp:digest=sha256:" + strings.Repeat("ac", 32), "dp:digest="}},
		{KindUses, func(f *Facts) { f.SeesTo = 0 }, []string{"dp:uses=1", "dp:uses=1000000000"}, nil},
	} {
		for _, text := range c.allow {
			p := hubPass(t, text)
			if _, err := hubVerifier().Verify(p, whole(), noon); err != nil {
				t.Errorf("%s: %v", text, err)
			}
			f := whole()
			c.lack(&f)
			wantRefusal(t, p, f, c.kind)
			if f.Waive = c.kind; c.kind != KindUses {
				if _, err := hubVerifier().Verify(p, f, noon); err != nil {
					t.Errorf("%s, waived: %v", text, err)
				}
			}
			f.Waive = ^c.kind // other kinds' exceptions are not this one's
			wantRefusal(t, p, f, c.kind)
		}
		for _, text := range c.refuse {
			f := whole()
			f.Waive = c.kind // it is there, so the exception does not hold
			wantRefusal(t, hubPass(t, text), f, c.kind)
		}
	}
}

func wantRefusal(t *testing.T, p Pass, f Facts, kind Kinds) {
	t.Helper()
	_, err := hubVerifier().Verify(p, f, noon)
	var r *Refusal
	if !errors.As(err, &r) || r.Unknown || r.Kind&kind == 0 {
		t.Errorf("%s: %v, want a refusal for %s", p.Caveats(), err, kind)
	}
}

// TestSeveral: every one of several things that a request touches is asked for.
func TestSeveral(t *testing.T) {
	push := Facts{Indexes: []string{"alice/dev", "alice/prod"}, Permissions: []string{"pkg_read", "upload"}, Projects: []string{"a", "b"}}
	for text, ok := range map[string]bool{
		"indexes=alice/dev": false, "indexes=alice/prod": false, "indexes=alice/dev,alice/prod": true,
		"allowed=upload": false, "allowed=pkg_read": false, "allowed=upload,pkg_read": true, "projects=a": false, "projects=b,a": true,
	} {
		if _, err := hubVerifier().Verify(hubPass(t, text), push, noon); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	// No pass has a permission to change users, not even one without limits.
	_, err := hubVerifier().Verify(hubPass(t), Facts{Permissions: []string{"user_modify"}}, noon)
	if err == nil {
		t.Error("a pass may change users")
	}
	// An empty name in the facts is a name that is not known.
	if _, err := hubVerifier().Verify(hubPass(t, "indexes=,alice/dev"), Facts{Indexes: []string{""}}, noon); err == nil {
		t.Error("an index without a name is allowed")
	}
}

// TestNotUnderstood: what is not exactly as written refuses everything.
func TestNotUnderstood(t *testing.T) {
	for _, text := range []string{
		"", "=", "expires", "Expires=never", " expires=never", "expires =never", "expires=", "expires=soon", "expires=-1", "expires=+9999999999", "expires=9_999_999_999",
		"expires=9999999999.0", "expires=٩٩٩٩٩٩٩٩٩٩", "expires=99999999999999999999999", "expires=NEVER", "expires=never ", "not_before=", "not_before=never", "not_before=-5",
		"dp:", "dp:=", "dp:what=1", "dp:access=", "dp:access=admin", "dp:access=Read", "dp:uses=0", "dp:uses=-1", "dp:uses=01", "dp:uses= 1", "dp:uses=1000000001", "dp:uses=",
		"dp:digest=md5:00", "dp:digest=sha256:00", "dp:digest=" + strings.Repeat("ab", 32), "dp:host=exa mple.com", "dp:host=ex/ample", "dp:host=*.example.com", "dp:host=,a.example",
		"dp:repo=data", "dp:repo=o/r#0", "dp:repo=o/r#x", "dp:repo=#", "dp:repo=o/r/s", "dp:repo=o/*", "dp:repo=o/r#042", "dp:address=localhost", "dp:address=192.0.2.7/24",
		"dp:address=fe80::1%eth0", "dp:address=::ffff:192.0.2.0/120", "dp:address=192.0.2.007", "dp:server=gpu", "dp:server=gpu@now", "dp:server=g pu@", "dp:source=a b", "dp:source=é",
		"allowed=" + strings.Repeat(",", maxItems), `[]`, `[0]`, `[0, 4102444800]`, `[0, 4102444800, 5, 6]`, `[0, 4102444800.5, 5]`, `[0, 4.1e9, 5]`, `[0, true, 5]`, `[0, -1, 5]`,
		`[1]`, `[1, "river-tools"]`, `[1, [1]]`, `[1, ["a"], 2]`, `[1.0, ["a"]]`, `["1", ["a"]]`, `[2, ["x"]]`, `[3, "x"]`, `[4, {}]`, `[1, ["river-tools"]] ` + "x", `[1, ["\ud800"]]`,
		`{}`, `{"nbf": 5}`, `{"exp": 4102444800}`, `{"nbf": 5, "exp": 4102444800, "x": 1}`, `{"nbf": 5, "nbf": 6, "exp": 4102444800}`, `{"version": 2, "permissions": "user"}`,
		`{"version": 1, "permissions": "all"}`, `{"version": 1}`, `{"version": 1, "permissions": {"projects": ["a"], "x": 1}}`, `{"version": "1", "permissions": "user"}`,
		`{"version": 1, "permissions": "user", "nbf": 1}`, "account = 3735928559",
	} {
		_, err := hubVerifier().Verify(hubPass(t, text), whole(), noon)
		var r *Refusal
		known := errors.As(err, &r)
		if !known || !r.Unknown || r.Caveat != 1 {
			t.Errorf("%q: %v, want not understood", text, err)
		}
		if strings.ContainsFunc(fmt.Sprint(err), func(r rune) bool { return r < ' ' || r > '~' && r != '…' }) {
			t.Errorf("%q: the error is not printable: %q", text, err)
		}
		f := whole()
		f.Waive = ^Kinds(0)
		if _, err := hubVerifier().Verify(hubPass(t, "expires=never", text), f, noon); err == nil {
			t.Errorf("%q is waived", text)
		}
	}
}

func TestTimes(t *testing.T) {
	n := noon.Unix()
	for text, ok := range map[string]bool{
		"expires=never": true, fmt.Sprint("expires=", n+1): true, fmt.Sprint("expires= ", n+1, " "): true, fmt.Sprint("expires=", n): false, fmt.Sprint("not_before=", n): true, fmt.Sprint("not_before=", n+1): false,
		fmt.Sprintf("[0, %d, %d]", n+1, n): true, fmt.Sprintf("[0,%d,%d]", n, n): false, fmt.Sprintf("[0, %d, %d]", n+9, n+1): false,
		fmt.Sprintf(`{"nbf": %d, "exp": "%d"}`, n, n+1): true, fmt.Sprintf(`{"nbf": "%d", "exp": %d}`, n+1, n+9): false, fmt.Sprintf(`{"exp": %d, "nbf": 0}`, n): false,
	} {
		for _, now := range []time.Time{noon, noon.In(time.FixedZone("", 14*3600))} {
			if _, err := hubVerifier().Verify(hubPass(t, text), Facts{}, now); (err == nil) != ok {
				t.Errorf("%s at %s: %v", text, now, err)
			}
		}
	}
	// A fraction of a second before not_before is before it, one behind expires behind it.
	if _, err := hubVerifier().Verify(hubPass(t, fmt.Sprint("not_before=", n)), Facts{}, noon.Add(-1)); err == nil {
		t.Error("good before its beginning")
	}
	if _, err := hubVerifier().Verify(hubPass(t, fmt.Sprint("expires=", n+1)), Facts{}, noon.Add(time.Second-1)); err != nil {
		t.Error("ended before its end")
	}
	p := hubPass(t, "expires=4102444800", fmt.Sprint("expires=", n), "expires=never")
	_, err := hubVerifier().Verify(p, Facts{}, noon)
	var r *Refusal
	if !errors.As(err, &r) || r.Caveat != 2 {
		t.Errorf("the shorter end: %v", err)
	}
	if _, err := hubVerifier().Verify(hubPass(t), Facts{}, time.Time{}); err == nil {
		t.Error("good at no time")
	}
}

// TestRealms: a pass of one realm opens nothing in another, whatever prefix it
// bears and though user, id and key are the same.
func TestRealms(t *testing.T) {
	realms := []Realm{{Hub, "main"}, {Hub, "other"}, {Index, "main"}, {Index, "other"}, {Kind: Plugin}}
	for _, made := range realms {
		id := Identity{Realm: made, User: "alice", ID: "abcdefgh"}
		if made.Kind == Hub {
			id.User = ""
		}
		p, err := Mint(NewKey([]byte("same")), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []Form{Bare, Daypass, Devpi, PyPI} {
			p, err := Parse(p.Text(form))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := p.Identity(); !ok || got != id {
				t.Errorf("identity %+v, want %+v", got, id)
			}
			for _, asked := range realms {
				v := Verifier{Realm: asked, Keys: func(got Identity) (Key, error) {
					if got.Realm != asked {
						t.Errorf("%v was asked for a key of %v", asked, got.Realm)
					}
					return NewKey([]byte("same")), nil
				}}
				_, err := v.Verify(p, Facts{}, noon)
				if made == asked && err != nil || made != asked && !errors.Is(err, ErrSignature) {
					t.Errorf("made for %v, asked by %v: %v", made, asked, err)
				}
			}
			none := Verifier{Keys: func(Identity) (Key, error) { return NewKey([]byte("same")), nil }}
			if _, err := none.Verify(p, Facts{}, noon); !errors.Is(err, ErrSignature) {
				t.Errorf("a verifier without a realm: %v", err)
			}
		}
	}
}

func TestIdentities(t *testing.T) {
	for _, id := range []Identity{
		{}, {Realm: hubRealm}, {Realm: hubRealm, User: "alice", ID: "a"}, {Realm: Realm{Hub, "a-b"}, ID: "a"}, {Realm: Realm{Hub, ""}, ID: "a"}, {Realm: hubRealm, ID: "a.b"},
		{Realm: Realm{Index, "i"}, ID: "a"}, {Realm: Realm{Index, "i"}, User: "a b", ID: "a"}, {Realm: Realm{Index, "i"}, User: "a:b", ID: "a"}, {Realm: Realm{Index, "i"}, User: "ä", ID: "a"},
		{Realm: Realm{Index, "i"}, User: "a/b", ID: "a"}, {Realm: Realm{Kind: Plugin}, User: "a", ID: "short"}, {Realm: Realm{Plugin, "x"}, User: "a", ID: "abcdefgh"},
		{Realm: Realm{Index, strings.Repeat("x", 33)}, User: "a", ID: "a"}, {Realm: Realm{Index, "i"}, User: "a", ID: "a-b"},
	} {
		if p, err := Mint(NewKey(nil), id); err == nil {
			t.Errorf("%+v was minted as %q", id, p.Identifier())
		}
	}
	for _, text := range []string{"", "-", "alice", "alice-", "-abcdefgh", "alice-abc", "alice-abcdefgh.", "alice-.main", "alice-abc.main.x", "daypass:hub:", "daypass:hub:a", "daypass:hub:a:", "daypass:hub:a:b:c", "daypass:hub:a:b-abcdefgh", "al\x00ice-abcdefgh"} {
		p, err := mint(NewKey(nil), text, "", true, Bare)
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := p.Identity(); ok {
			t.Errorf("%q is taken for %+v", text, id)
		}
	}
	for i := range 256 {
		c := byte(i)
		want := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
		if word(string([]byte{c}), 1) != want {
			t.Errorf("%q in a word: %v", c, !want)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		id, err := NewID(rand.Reader)
		if err != nil || len(id) != 16 || seen[id] || strings.Trim(id, idLetters) != "" {
			t.Fatalf("%q, %v", id, err)
		}
		seen[id] = true
	}
	if _, err := NewID(bytes.NewReader(bytes.Repeat([]byte{255}, 4096))); err == nil {
		t.Error("an id of no randomness")
	}
}

// TestUnknown: who does not know a pass says the same as for a forged one, and
// says so before any caveat is looked at.
func TestUnknown(t *testing.T) {
	stranger, err := Mint(NewKey([]byte("root")), Identity{Realm: hubRealm, ID: "xyz"}, "nonsense")
	if err != nil {
		t.Fatal(err)
	}
	forged := hubPass(t, "expires=1", "nonsense")
	forged.inside().signature[31] ^= 1
	// The key that stands in for unknown ones.
	zero, err := Mint(holdKey([32]byte{}), Identity{Realm: hubRealm, ID: "xyz"})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]Pass{"unknown": stranger, "forged": forged, "zero": {}, "zero key": zero} {
		if _, err := hubVerifier().Verify(p, whole(), noon); err != ErrSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
	down := errors.New("the store is down")
	v := Verifier{Realm: hubRealm, Keys: func(Identity) (Key, error) { return Key{}, down }}
	if _, err := v.Verify(hubPass(t), Facts{}, noon); !errors.Is(err, down) {
		t.Errorf("a store that is down: %v", err)
	}
	v.Keys = func(Identity) (Key, error) { return Key{}, nil }
	if _, err := v.Verify(hubPass(t), Facts{}, noon); err != ErrSignature {
		t.Errorf("a key that is none: %v", err)
	}
	if err := (&Opened{}).Check(whole(), noon); err == nil {
		t.Error("what was never opened is allowed")
	}
	var none Rights
	if err := none.allows(&Facts{}, noon); err == nil {
		t.Error("the zero Rights allows something")
	}
}

// TestLinks: what counts uses and revokes is the same for a pass and for all
// that were narrowed from it, and different for any other.
func TestLinks(t *testing.T) {
	p := hubPass(t, "expires=never", "dp:uses=3")
	narrowed, err := p.Narrow("dp:host=github.com", "dp:uses=1")
	if err != nil {
		t.Fatal(err)
	}
	sibling, err := p.Narrow("dp:host=github.com", "dp:uses=2")
	if err != nil {
		t.Fatal(err)
	}
	open := func(p Pass) Opened {
		t.Helper()
		o, err := hubVerifier().Open(p)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	a, b, c := open(p), open(narrowed), open(sibling)
	if a.Links() != 3 || b.Links() != 5 {
		t.Fatalf("%d and %d links", a.Links(), b.Links())
	}
	for i := range a.Links() {
		if a.Link(i) != b.Link(i) || a.Link(i) != c.Link(i) {
			t.Errorf("link %d differs", i)
		}
	}
	if b.Link(4) == c.Link(4) || b.Link(3) != c.Link(3) {
		t.Error("siblings are not told apart where they part")
	}
	if a.Link(2) != p.Link() || b.Link(4) != narrowed.Link() {
		t.Error("the link at the end is not the pass's own")
	}
	want := []Use{{2, 3}, {4, 1}}
	if len(b.Rights.Uses) != 2 || b.Rights.Uses[0] != want[0] || b.Rights.Uses[1] != want[1] {
		t.Errorf("uses %v, want %v", b.Rights.Uses, want)
	}
	if shown, doubts := narrowed.Effective(); len(doubts) > 0 || len(shown.Uses) != 2 || shown.Uses[1] != want[1] {
		t.Errorf("shown uses %v", shown.Uses)
	}
	if len(p.Link().Short()) != 16 || !strings.HasPrefix(fmt.Sprintf("%x", p.Link()), p.Link().Short()) {
		t.Errorf("short link %s", p.Link().Short())
	}
}

func TestCaps(t *testing.T) {
	p := hubPass(t)
	for range MaxCaveats {
		var err error
		if p, err = p.Narrow("expires=never"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Narrow("expires=never"); !errors.Is(err, ErrTooBig) {
		t.Errorf("65 caveats: %v", err)
	}
	if _, err := Parse(p.Text(Daypass)); err != nil {
		t.Errorf("64 caveats: %v", err)
	}
	// By hand, since Narrow does not make it.
	m := *p.inside()
	m.caveats = append(append([]string(nil), m.caveats...), "x")
	if _, err := ParseBinary(m.append(nil)); !errors.Is(err, ErrTooBig) {
		t.Errorf("65 caveats read: %v", err)
	}
	big := hubPass(t)
	room := maxBinary - big.inside().size() - 4
	full, err := big.Narrow(strings.Repeat("x", room))
	if err != nil {
		t.Fatalf("the largest pass: %v", err)
	}
	if _, err := Parse(full.Text(Daypass)); err != nil {
		t.Errorf("the largest pass, read: %v", err)
	}
	if _, err := big.Narrow(strings.Repeat("x", room+1)); !errors.Is(err, ErrTooBig) {
		t.Errorf("larger: %v", err)
	}
	if _, err := big.Narrow(strings.Repeat("x", 1<<20)); !errors.Is(err, ErrTooBig) {
		t.Errorf("much larger: %v", err)
	}
	if _, err := ParseBinary(make([]byte, maxBinary+1)); !errors.Is(err, ErrTooBig) {
		t.Errorf("many bytes: %v", err)
	}
	if _, err := ParseJSON(make([]byte, maxJSON+1)); !errors.Is(err, ErrTooBig) {
		t.Errorf("much JSON: %v", err)
	}
}

// TestNothingSecretIsPrinted: neither a verb of fmt nor an encoder nor an error
// shows a signature, a key or a pass.
func TestNothingSecretIsPrinted(t *testing.T) {
	p := hubPass(t, "expires=1", "dp:uses=1")
	key := NewKey([]byte("root"))
	v := hubVerifier()
	o, err := v.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	_, refusal := v.Verify(p, whole(), noon)
	secrets := []string{p.Text(Bare).Reveal()[8:40], p.Text(Bare).Reveal()[len(p.Text(Bare).Reveal())-30:]}
	for _, raw := range append(append([][32]byte{p.inside().signature, (*key.held).derived}, (*o.held).sums...), p.inside().signature) {
		secrets = append(secrets, fmt.Sprintf("%x", raw[:8]), fmt.Sprintf("%X", raw[:8]), strings.Trim(fmt.Sprint(raw[:8]), "[]"), string(raw[:8]), fmt.Sprintf("%q", string(raw[:6])))
	}
	var shown strings.Builder
	for _, x := range []any{p, &p, key, &key, o, &o, []Pass{p}, map[string]Key{"k": key}, struct{ o Opened }{o}, struct{ o *Opened }{&o}, struct{ p Pass }{p}, struct{ K *Key }{&key}, refusal, o.Rights} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&shown, verb+"\n", x)
		}
		text, err := json.Marshal(x)
		fmt.Fprintln(&shown, string(text), err)
		fmt.Fprintln(&shown, gob.NewEncoder(&shown).Encode(x))
		slog.New(slog.NewTextHandler(&shown, nil)).Info("x", "x", x)
		slog.New(slog.NewJSONHandler(&shown, nil)).Info("x", "x", x)
	}
	for _, bad := range []string{p.Text(Bare).Reveal() + "!", "devpi-" + p.Text(Bare).Reveal()[:60]} {
		_, err := parse(bad)
		fmt.Fprintln(&shown, err)
	}
	for _, s := range secrets {
		if strings.Contains(shown.String(), s) {
			t.Errorf("a secret is shown: %q", s)
		}
	}
	if !strings.Contains(shown.String(), "[pass]") || !strings.Contains(shown.String(), "[key]") {
		t.Error("nothing was shown at all")
	}
}
