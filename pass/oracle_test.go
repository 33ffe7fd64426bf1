package pass

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/process"
)

// A sample is a macaroon that the oracles make anew from its parts.
type sample struct {
	Root       string   `json:"root"`       // hexadecimal
	Location   string   `json:"location"`   // text
	Identifier string   `json:"identifier"` // hexadecimal
	Caveats    []string `json:"caveats"`    // hexadecimal
}

// A made is what an oracle made of a sample.
type made struct {
	Binary    string `json:"binary"` // base64url; empty from libmacaroons
	JSON      string `json:"json"`
	Signature string `json:"signature"` // hexadecimal
	Ours      bool   `json:"ours"`      // the oracle verified what we made
	Narrowed  string `json:"narrowed"`  // ours, narrowed by the oracle with "x=y"
}

// TestOracles compares fresh random macaroons with pymacaroons, byte for byte,
// and their signatures with libmacaroons.
func TestOracles(t *testing.T) {
	python := process.Installed(t, "DAYPASS_TEST_PASS_PYTHON", "pass")
	for _, library := range []string{"pymacaroons", "libmacaroons"} {
		t.Run(library, func(t *testing.T) { compare(t, python, library) })
	}
}

func compare(t *testing.T, python, library string) {
	oracle := process.NewTalk(t, exec.Command(python, "testdata/oracle.py", library))
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range 400 {
		ask(t, oracle, library, drawn(random, library == "libmacaroons"))
		if t.Failed() {
			t.Fatalf("sample %d of seed %d", i, seed)
		}
	}
}

func ask(t *testing.T, oracle *process.Talk, library string, s sample) {
	p, err := mint(NewKey(unhex(t, s.Root)), string(unhex(t, s.Identifier)), s.Location, true, Bare)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Caveats {
		if p, err = p.Narrow(string(unhex(t, c))); err != nil {
			t.Fatal(err)
		}
	}
	text := p.Text(Bare).Reveal()
	line, err := json.Marshal(map[string]any{"sample": s, "ours": text})
	if err != nil {
		t.Fatal(err)
	}
	answer := oracle.Ask(t, line)
	var theirs made
	if err := json.Unmarshal(answer, &theirs); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if got := hex.EncodeToString(p.inside().signature[:]); got != theirs.Signature {
		t.Errorf("%+v: signature %s, %s has %s", s, got, library, theirs.Signature)
	}
	if library == "libmacaroons" {
		return
	}
	ours, err := p.JSON()
	if err != nil || string(ours) != theirs.JSON || text != theirs.Binary || !theirs.Ours {
		t.Errorf("%+v:\n%s\n%s\n%s\n%s\nverified by theirs: %v", s, text, theirs.Binary, ours, theirs.JSON, theirs.Ours)
	}
	back, err := ParseJSON([]byte(theirs.JSON))
	if err != nil || back.Text(Bare).Reveal() != text {
		t.Errorf("%+v: their JSON: %v", s, err)
	}
	narrowed, err := p.Narrow("x=y")
	if err != nil || narrowed.Text(Bare).Reveal() != theirs.Narrowed {
		t.Errorf("%+v: narrowed by both: %v", s, err)
	}
}

// drawn draws a sample. pymacaroons takes only caveats that are UTF-8.
func drawn(r *rand.Rand, anyBytes bool) sample {
	some := func(least, most int) string {
		b := make([]byte, least+r.IntN(most-least+1))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		return hex.EncodeToString(b)
	}
	words := []string{"expires=4102444800", "projects=naïve", "indexes=a/b,c/d", "\U0001f600 \\ \" \t \x7f \u2028", "", "[1, [\"x\"]]"}
	s := sample{Root: some(1, 80), Identifier: hex.EncodeToString([]byte(words[r.IntN(4)])), Location: []string{"", "x", "https://ex.org/å"}[r.IntN(3)]}
	for range r.IntN(7) {
		c := hex.EncodeToString([]byte(words[r.IntN(len(words))]))
		if r.IntN(3) == 0 { // long enough for lengths of two bytes
			if c = some(1, 200); !anyBytes {
				c = hex.EncodeToString([]byte(c))
			}
		}
		s.Caveats = append(s.Caveats, c)
	}
	return s
}

// TestLastCharacter: the reader takes exactly what the library's strict reader
// takes, whatever the last character is.
func TestLastCharacter(t *testing.T) {
	for n := range 70 {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(i*37 + n)
		}
		text := base64.RawURLEncoding.EncodeToString(raw)
		got, err := decode(text)
		if err != nil || got != string(raw) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		strict := base64.RawURLEncoding.Strict()
		for c := range 256 {
			if n == 0 {
				continue
			}
			changed := text[:len(text)-1] + string([]byte{byte(c)})
			if c == '=' || c == '\n' || c == '\r' {
				continue // padding is taken where it is right; the library skips ends of lines
			}
			_, want := strict.DecodeString(changed)
			if _, err := decode(changed); (err == nil) != (want == nil) {
				t.Errorf("%q: %v, the library says %v", changed, err, want)
			}
		}
	}
}
