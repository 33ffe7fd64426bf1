package pass

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	peer "gopkg.in/macaroon.v2"
)

func seeds(f *testing.F) []string {
	f.Helper()
	v := loadVectors(f)
	var out []string
	for _, x := range v.Valid {
		out = append(out, x.V2, x.Canonical, x.V1)
	}
	for _, x := range v.Invalid {
		out = append(out, x.Token)
	}
	for _, x := range v.ThirdParty {
		out = append(out, x.Root)
	}
	for _, x := range v.Devpi.Tokens {
		out = append(out, x.Token)
	}
	return out
}

// FuzzText: reading never panics, and a pass has one text in each form.
func FuzzText(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
		f.Add("daypass_" + s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err != nil {
			for _, known := range []error{ErrMalformed, ErrTooBig, ErrV1, ErrThirdParty} {
				if err == known {
					return
				}
			}
			t.Fatalf("an error that may hold something: %v", err)
		}
		if got := p.Text(p.Form()).Reveal(); got != strings.TrimRight(text, "=") {
			t.Fatalf("%q is written as %q", text, got)
		}
		p.Identity()
		p.Effective()
		for _, c := range p.Caveats() {
			Describe(c)
		}
	})
}

// FuzzBinary compares with gopkg.in/macaroon.v2: what we read it reads alike,
// and what it reads and we do not is one of the forms that we refuse on purpose.
func FuzzBinary(f *testing.F) {
	for _, s := range seeds(f) {
		if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, "devpi-")); err == nil {
			f.Add(raw, []byte("root"), "x=y")
		}
	}
	f.Fuzz(func(t *testing.T, raw, root []byte, caveat string) {
		p, err := ParseBinary(raw)
		theirs := new(peer.Macaroon)
		theirErr := theirs.UnmarshalBinary(slices.Clone(raw))
		if err != nil {
			refusedOnPurpose(t, raw, err, theirs, theirErr)
			return
		}
		if !bytes.Equal(p.Binary(), raw) {
			t.Fatalf("%x is written as %x", raw, p.Binary())
		}
		if theirErr != nil {
			t.Fatalf("we read %x, they do not: %v", raw, theirErr)
		}
		if p.Identifier() != string(theirs.Id()) || p.Location() != theirs.Location() || !bytes.Equal(p.inside().signature[:], theirs.Signature()) {
			t.Fatalf("%x is read in two ways", raw)
		}
		var caveats []string
		for _, c := range theirs.Caveats() {
			caveats = append(caveats, string(c.Id))
		}
		if !slices.Equal(caveats, p.Caveats()) {
			t.Fatalf("%q and %q", p.Caveats(), caveats)
		}
		met := func(string) error { return nil }
		if signed(p, root) != (theirs.Verify(root, met, nil) == nil) {
			t.Fatalf("%x: signatures are judged in two ways", raw)
		}
		if narrowed, err := p.Narrow(caveat); err == nil && theirs.AddFirstPartyCaveat([]byte(caveat)) == nil {
			if !bytes.Equal(narrowed.inside().signature[:], theirs.Signature()) {
				t.Fatalf("%x: narrowed in two ways", raw)
			}
		}
	})
}

func refusedOnPurpose(t *testing.T, raw []byte, err error, theirs *peer.Macaroon, theirErr error) {
	if theirErr != nil || errors.Is(err, ErrTooBig) || errors.Is(err, ErrThirdParty) {
		return
	}
	if theirs.Version() == peer.V1 { // which they also take with two of one field, say
		return
	}
	for _, c := range theirs.Caveats() {
		if len(c.VerificationId) > 0 {
			return // malformed before it came to that
		}
	}
	// Written in the shortest way, nothing behind it, we read it.
	short, merr := theirs.MarshalBinary()
	if merr != nil {
		return
	}
	if bytes.Equal(short, raw) {
		t.Fatalf("they read %x, which is written in the shortest way; we do not: %v", raw, err)
	}
	if _, err := ParseBinary(short); err != nil && !errors.Is(err, ErrTooBig) && !errors.Is(err, ErrThirdParty) {
		t.Fatalf("they read %x; we do not: %v", short, err)
	}
}

// FuzzJSON: reading never panics, and what is read is written and read alike.
func FuzzJSON(f *testing.F) {
	for _, x := range loadVectors(f).Valid {
		f.Add([]byte(x.JSONV2))
		f.Add([]byte(x.JSONV1))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParseJSON(text)
		if err != nil {
			return
		}
		out, err := p.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseJSON(out)
		if err != nil || !bytes.Equal(again.Binary(), p.Binary()) {
			t.Fatalf("%s: %v", out, err)
		}
		back, err := ParseBinary(p.Binary())
		if err != nil || back.Identifier() != p.Identifier() {
			t.Fatalf("%s to binary: %v", out, err)
		}
		theirs := new(peer.Macaroon)
		if err := theirs.UnmarshalJSON(out); err == nil && string(theirs.Id()) != p.Identifier() {
			t.Fatalf("%s is read in two ways", out)
		}
	})
}

// FuzzCaveat: no caveat panics or widens, and one that is understood is understood
// the same when it stands twice.
func FuzzCaveat(f *testing.F) {
	for _, row := range Caveats() {
		f.Add(row.Text, "expires=never", uint64(1))
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		f.Add(drawCaveat(r), drawCaveat(r), r.Uint64())
	}
	f.Fuzz(func(t *testing.T, a, b string, seed uint64) {
		facts := drawFacts(rand.New(rand.NewPCG(seed, 3)))
		verdict := func(caveats ...string) bool {
			var r Rights
			return r.read(caveats) == nil && r.allows(&facts, noon) == nil
		}
		none, one, other, both := verdict(), verdict(a), verdict(b), verdict(a, b)
		if both != (one && other) || one && !none || verdict(a, a) != one || verdict(b, a) != both {
			t.Fatalf("%q and %q: %v %v %v, together %v: %+v", a, b, none, one, other, both, facts)
		}
		var r Rights
		if _, known := Describe(a); r.read([]string{a}) == nil && !known {
			t.Fatalf("%q is understood and not described", a)
		}
	})
}

// FuzzWhen: no text panics, and what is read means the same in every zone or is a
// local time.
func FuzzWhen(f *testing.F) {
	for _, s := range []string{"never", "1 year 2 months", "10min", "-5min", "1795348800", "2026-12-24 18:00", "2026-12-24T18:00:00+01:00", "9999y", "5m"} {
		f.Add(s, int64(1795348800))
	}
	f.Fuzz(func(t *testing.T, text string, at int64) {
		now := noon.AddDate(0, 0, int(at%20000))
		got, err := ParseWhen(text, now.UTC())
		if err != nil {
			return
		}
		far, err := ParseWhen(text, now.In(time.FixedZone("", 13*3600)))
		if local := strings.ContainsAny(text, ":"); err != nil || !local && !far.Equal(got) {
			t.Fatalf("%q is %s, and elsewhere %s, %v", text, got, far, err)
		}
		if caveats, err := (Limits{Expires: got}).Caveats(); err != nil || len(caveats) != 1 {
			t.Fatalf("%q is %s, which cannot be written: %v", text, got, err)
		}
	})
}
