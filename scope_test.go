package daypass

import (
	"math/rand/v2"
	"testing"
	"time"
)

// randomScope draws from a universe so small that scopes often meet: two hosts,
// two names in two spellings, two ids, three ends.
func randomScope() Scope {
	s := Scope{Host: pick("", "h", "h", "i"), Access: Access(rand.IntN(3)), All: rand.IntN(4) == 0}
	s.Until = pick(time.Time{}, time.Unix(1000, 0), time.Unix(2000, 0), Forever)
	for range rand.IntN(4) {
		s.Repos = append(s.Repos, randomRepo())
	}
	return s
}

func randomRepo() Repo {
	r := Repo{ID: pick[int64](0, 0, 1, 2)}
	if rand.IntN(4) > 0 {
		r.Owner, r.Name = pick("o", "O", "p"), pick("a", "A", "b")
	}
	return r
}

func pick[T any](list ...T) T { return list[rand.IntN(len(list))] }

const draws = 200_000

func TestCoversIsAnOrder(t *testing.T) {
	transitive := 0
	for range draws {
		a, b, c := randomScope(), randomScope(), randomScope()
		if !a.Covers(a) {
			t.Fatalf("%+v does not cover itself", a)
		}
		if a.Covers(b) && b.Covers(c) {
			transitive++
			if !a.Covers(c) {
				t.Fatalf("%+v covers %+v, which covers %+v, which the first does not", a, b, c)
			}
		}
		if !a.Covers(Scope{}) || !a.Empty() && (Scope{}).Covers(a) {
			t.Fatalf("%+v and the empty scope", a)
		}
		// Antisymmetric up to what they allow: two that cover each other cover and
		// are covered by the same.
		if a.Equivalent(b) && (a.Covers(c) != b.Covers(c) || c.Covers(a) != c.Covers(b)) {
			t.Fatalf("%+v and %+v are equivalent, and %+v tells them apart", a, b, c)
		}
	}
	if transitive < draws/1000 {
		t.Errorf("only %d of %d draws tried anything", transitive, draws)
	}
}

func TestIntersectIsTheGreatestLowerBound(t *testing.T) {
	met := 0
	for range draws {
		a, b, c := randomScope(), randomScope(), randomScope()
		ab := a.Intersect(b)
		if !ab.Empty() {
			met++
		}
		if !ab.Equivalent(b.Intersect(a)) {
			t.Fatalf("Intersect of %+v and %+v depends on their order", a, b)
		}
		if !a.Intersect(a).Equivalent(a) {
			t.Fatalf("%+v met with itself is %+v", a, a.Intersect(a))
		}
		if left, right := ab.Intersect(c), a.Intersect(b.Intersect(c)); !left.Equivalent(right) {
			t.Fatalf("(%+v, %+v), %+v: %+v or %+v", a, b, c, left, right)
		}
		if !a.Covers(ab) || !b.Covers(ab) {
			t.Fatalf("%+v, the meet of %+v and %+v, is wider than one of them", ab, a, b)
		}
		if a.Covers(c) && b.Covers(c) && !ab.Covers(c) {
			t.Fatalf("both %+v and %+v cover %+v, and their meet %+v does not", a, b, c, ab)
		}
	}
	if met < draws/100 {
		t.Errorf("only %d of %d draws met", met, draws)
	}
}

// A zero field grants nothing: whoever forgets one fails closed.
func TestZeroFieldsAreEmpty(t *testing.T) {
	full := Scope{Host: "h", All: true, Access: Read, Until: Forever}
	if full.Empty() {
		t.Fatalf("%+v is empty", full)
	}
	for name, forget := range map[string]func(*Scope){
		"host": func(s *Scope) { s.Host = "" }, "access": func(s *Scope) { s.Access = NoAccess },
		"until": func(s *Scope) { s.Until = time.Time{} }, "repositories": func(s *Scope) { s.All = false },
		"which repository": func(s *Scope) { s.All, s.Repos = false, []Repo{{}} },
	} {
		s := full
		forget(&s)
		if !s.Empty() || s.Covers(full) || !s.Intersect(full).Empty() {
			t.Errorf("without %s: %+v is not empty", name, s)
		}
	}
}

func TestPin(t *testing.T) {
	have := Scope{Host: "h", Access: Write, Until: Forever, Repos: []Repo{{"o", "a", 42}}}
	want := Scope{Host: "h", Access: Read, Until: Forever, Repos: []Repo{{Owner: "O", Name: "A"}}}
	if have.Covers(want) {
		t.Error("a name covers whatever bears it; an id with a name does not cover that")
	}
	if !have.Covers(have.Pin(want)) || want.Repos[0].ID != 0 {
		t.Error("pinned, it is the repository that was verified, and the request itself stays")
	}
	want.Repos[0].ID = 43
	if have.Covers(have.Pin(want)) {
		t.Error("another id of the same name is covered")
	}
}

func TestParseRepo(t *testing.T) {
	for s, ok := range map[string]bool{
		"o/r": true, "octo-org/data.set_1": true, "o/.github": true, "": false, "o": false, "/r": false, "o/": false, "o/.": false, "o/..": false,
		"o/r/s": false, "o//r": false, "o.x/r": false, "o/r ": false, "o/r%2e": false, "o/r\x00": false, "ö/r": false,
	} {
		if r, got := ParseRepo(s); got != ok || ok && r.String() != s {
			t.Errorf("ParseRepo(%q) = %v, %v", s, r, got)
		}
	}
}
