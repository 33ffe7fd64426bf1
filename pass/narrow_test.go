package pass

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// pick draws one of several.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// some draws up to n of several, joined by commas.
func some(r *rand.Rand, n int, list ...string) string {
	var out []string
	for range r.IntN(n + 1) {
		out = append(out, pick(r, list...))
	}
	return strings.Join(out, ",")
}

// drawCaveat draws a caveat of one of 20 sorts, or of one of those given.
func drawCaveat(r *rand.Rand, sorts ...int) string {
	sort := r.IntN(20)
	if len(sorts) > 0 {
		sort = pick(r, sorts...)
	}
	t := noon.Unix() + int64(r.IntN(5)-1)
	sum := "sha256:" + strings.Repeat(pick(r, "a", "b"), 64)
	switch sort {
	case 0:
		return fmt.Sprint("expires=", t+r.Int64N(3))
	case 1:
		return "expires=never"
	case 2:
		return fmt.Sprint("not_before=", t-r.Int64N(3))
	case 3:
		return "allowed=" + some(r, 3, "upload", "pkg_read", "del_entry", " upload", "user_modify")
	case 4:
		return "indexes=" + some(r, 3, "a/x", "a/y", " b/x ", "x")
	case 5:
		return "projects=" + some(r, 3, "foo", "Foo_Bar", "foo-bar", "zoo")
	case 6:
		return "dp:host=" + pick(r, "github.com", "git.example", "GitHub.com,git.example")
	case 7, 8:
		return "dp:repo=" + some(r, 3, "o/r", "O/R#1", "#1", "#2", "o/s", "o/s#2")
	case 9:
		return "dp:access=" + pick(r, "read", "write")
	case 10:
		return "dp:source=" + pick(r, "doi:1", "doi:2", "doi:1,doi:2")
	case 11:
		return "dp:server=" + some(r, 2, "gpu@", "gpu@1", "gpu@2", "@", "@1")
	case 12:
		return "dp:address=" + some(r, 2, "192.0.2.0/24", "192.0.2.7", "192.0.0.0/16", "2001:db8::/32", "::1")
	case 13:
		return fmt.Sprint("dp:uses=", r.IntN(3))
	case 14:
		return "dp:digest=" + pick(r, sum, sum+",sha256:"+strings.Repeat("c", 64))
	case 15:
		return fmt.Sprintf("[0, %d, %d]", t+2, t-2)
	case 16:
		return pick(r, `[1, ["foo"]]`, `[1, ["foo", "FOO.bar"]]`, `[1, []]`)
	case 17:
		return fmt.Sprintf(`{"nbf": %d, "exp": "%d"}`, t-2, t+2)
	case 18:
		return pick(r, `{"version": 1, "permissions": "user"}`, `{"version": 1, "permissions": {"projects": ["zoo", "foo"]}}`)
	}
	return pick(r, "unknown=1", "dp:new=1", "", "[2, []]", "expires=soon")
}

func drawFacts(r *rand.Rand) Facts {
	f := Facts{Waive: Kinds(r.IntN(2) * r.IntN(1<<13)), SeesTo: Kinds(r.IntN(2) * r.IntN(1<<13))}
	if r.IntN(4) > 0 {
		f.Permissions = pick(r, []string{"upload"}, []string{"pkg_read"}, []string{"pkg_read", "upload"}, []string{"user_modify"}, []string{""})
	}
	if r.IntN(4) > 0 {
		f.Indexes = pick(r, []string{"a/x"}, []string{"b/x"}, []string{"a/x", "a/y"}, []string{""})
	}
	if r.IntN(4) > 0 {
		f.Projects = pick(r, []string{"foo"}, []string{"foo.Bar"}, []string{"foo", "zoo"}, []string{""})
	}
	if r.IntN(4) > 0 {
		f.Host, f.Source, f.Server = pick(r, "github.com", "git.example"), pick(r, "doi:1", "doi:2"), pick(r, "gpu@1", "gpu@2", "@1", "gpu@", "gpu")
	}
	if r.IntN(4) > 0 {
		f.Repo = pick(r, daypass.Repo{Owner: "o", Name: "r"}, daypass.Repo{Owner: "O", Name: "r", ID: 1}, daypass.Repo{ID: 2}, daypass.Repo{Owner: "o", Name: "s", ID: 2})
	}
	if r.IntN(4) > 0 {
		f.Access = pick(r, daypass.Read, daypass.Write)
	}
	if r.IntN(4) > 0 {
		f.Address = netip.MustParseAddr(pick(r, "192.0.2.7", "::ffff:192.0.2.9", "2001:db8::1", "::1"))
	}
	if r.IntN(2) > 0 {
		f.Digest = "sha256:" + strings.Repeat(pick(r, "a", "b", "c"), 64)
	}
	return f
}

// TestNarrowNeverWidens: of random passes and requests, a request that the
// narrower pass allows was allowed before; a pass allows exactly what each of
// its caveats allows by itself, in whatever order they stand; and what is shown
// of a pass is what it is judged by.
func TestNarrowNeverWidens(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 2))
	rounds, allowed, refused := 30_000, 0, 0
	if testing.Short() {
		rounds = 3000
	}
	for round := range rounds {
		var sorts []int
		if round%2 == 0 { // caveats of one sort meet, and the fact is mostly known
			sorts = []int{r.IntN(20)}
		}
		var caveats []string
		for range r.IntN(4) {
			caveats = append(caveats, drawCaveat(r, sorts...))
		}
		more, f := drawCaveat(r, sorts...), drawFacts(r)
		p := hubPass(t, caveats...)
		narrowed, err := p.Narrow(more)
		if err != nil {
			t.Fatal(err)
		}
		ok := func(p Pass) bool {
			_, err := hubVerifier().Verify(p, f, noon)
			return err == nil
		}
		before, after := ok(p), ok(narrowed)
		alone := ok(hubPass(t))
		for _, c := range append(slices.Clone(caveats), more) {
			alone = ok(hubPass(t, c)) && alone
		}
		shuffled := append([]string{more}, caveats...)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		shown, doubts := narrowed.Effective()
		switch {
		case after && !before:
			t.Fatalf("seed %d: %q and %q widened: %+v", seed, caveats, more, f)
		case after != alone:
			t.Fatalf("seed %d: %q: together %v, each by itself %v: %+v", seed, narrowed.Caveats(), after, alone, f)
		case after != ok(hubPass(t, shuffled...)):
			t.Fatalf("seed %d: %q in another order: %+v", seed, narrowed.Caveats(), f)
		case after != (len(doubts) == 0 && shown.allows(&f, noon) == nil):
			t.Fatalf("seed %d: %q: what is shown is not what is judged: %+v", seed, narrowed.Caveats(), f)
		}
		if after {
			allowed++
		} else {
			refused++
		}
	}
	if allowed < rounds/50 || refused < rounds/50 {
		t.Errorf("the draw is lopsided: %d allowed, %d refused", allowed, refused)
	}
}
