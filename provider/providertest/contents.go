package providertest

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// A File is what a source holds.
type File struct {
	Parts []string // as of [daypass.Item]
	Text  string
	// Locked: it is listed, and cannot be had ([daypass.Item.Skip]).
	Locked bool
	// Loose: the provider makes its bytes when they are asked for, so that neither
	// size nor sum is known, and a change is not noticed while it is read.
	Loose bool
}

// Tree is a source with folders and odd names, for fixtures whose host can hold
// them: two files of one name, a file and a folder of one name, a "/" in a name,
// names that go up or hide.
func Tree() []File {
	long := strings.Repeat("0123456789", 1000)
	return []File{
		{Parts: []string{"README.md"}, Text: "# Lab 1\n"},
		{Parts: []string{"empty.txt"}},
		{Parts: []string{"lab1", "lab1.ipynb"}, Text: `{"cells": []}` + "\n"},
		{Parts: []string{"lab1", "data", "river.csv"}, Text: long},
		{Parts: []string{"lab1", "data", "deep", "er", "x.bin"}, Text: "\x00\x01\xff"},
		{Parts: []string{"twice.txt"}, Text: "one"},
		{Parts: []string{"twice.txt"}, Text: "two!"},
		{Parts: []string{"both"}, Text: "a file"},
		{Parts: []string{"both", "in.txt"}, Text: "a folder"},
		{Parts: []string{"a/b.txt"}, Text: "a slash"},
		{Parts: []string{".."}, Text: "up"},
		{Parts: []string{"-rf"}, Text: "a flag"},
		{Parts: []string{"O'Hara \\ ünï.txt"}, Text: "signs"},
		{Parts: []string{".git", "config"}, Text: "[core]\n"},
	}
}

// An Asked is one request that reached a host.
type Asked struct {
	Method string
	Host   string // as it was asked for
	Secret bool   // it carried a credential, in whatever place
}

// A ContentsFixture is a Contents and the host behind it. Everything is a fresh
// world of its own.
type ContentsFixture struct {
	Contents daypass.Contents
	Source   daypass.Source
	Files    []File           // all that Source holds
	Missing  daypass.Source   // there is none
	Hidden   daypass.Source   // there is one, and this identity may not see it; zero where the host knows no such
	Odd      []daypass.Source // nothing is asked for these
	// Hosts are where the credential may go, and Tokens where POST may: for a token.
	Hosts, Tokens []string
	Secrets       func() []daypass.Secret // all that came up
	Asked         func() []Asked
	// Change gives a file other bytes, so many.
	Change func(parts []string, text string)
	// Break is as of [Fixture].
	Break func(f Failure, nth int) (mend func())
	Safe  []string // methods beside GET and HEAD
	// NoIDs: the host names no file for good.
	NoIDs bool
	// Replaces: a file that is given other bytes is another file to the host.
	Replaces bool
	// Blind: the host does not say what is there in place of a folder that is not.
	Blind bool
	// Held: what was listed is here already, so that no weather reaches Open.
	Held bool
}

// RunContents holds a Contents to the contract; within is as of [Run]. Every test
// ends with what holds for each request: GET alone, a credential at its hosts alone,
// no secret in what came back.
func RunContents(t *testing.T, within func(*testing.T, func(*testing.T)), fresh func(*testing.T) ContentsFixture) {
	if within == nil {
		within = func(t *testing.T, f func(*testing.T)) { f(t) }
	}
	for name, test := range map[string]func(*testing.T, *shelf){
		"list": listsAll, "look": looks, "open": opens, "none": none, "no folder": noFolder, "odd sources": oddSources, "changed": changed, "storm": storm,
		"cancelled": cancelled, "at once": readAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T) {
				s := &shelf{ContentsFixture: fresh(t)}
				test(t, s)
				s.clean(t)
			})
		})
	}
	for _, f := range failures() {
		t.Run("weather/"+string(f), func(t *testing.T) {
			for nth := range 12 {
				within(t, func(t *testing.T) {
					s := &shelf{ContentsFixture: fresh(t)}
					s.weather(t, f, nth)
					s.clean(t)
				})
			}
		})
	}
}

// A shelf is a fixture in use.
type shelf struct {
	ContentsFixture
	mu   sync.Mutex
	said []string // all errors and values
}

func (s *shelf) say(v ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf("%+v", v))
}

func (s *shelf) list(t *testing.T) daypass.Listing {
	t.Helper()
	l, err := s.Contents.List(t.Context(), s.Source)
	if err != nil {
		t.Fatal(err)
	}
	s.say(told(l))
	return l
}

// told is what others see of a listing.
func told(l daypass.Listing) daypass.Listing {
	l.Items = slices.Clone(l.Items)
	for n := range l.Items {
		l.Items[n].Data = nil
	}
	return l
}

func (s *shelf) read(ctx context.Context, it daypass.Item, from int64) (string, error) {
	r, err := s.Contents.Open(ctx, s.Source, it, from)
	if err != nil {
		s.say(err.Error())
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		s.say(err.Error())
	}
	return string(text), err
}

// clean holds what is true of every request.
func (s *shelf) clean(t *testing.T) {
	t.Helper()
	for _, a := range s.Asked() {
		if a.Method != "GET" && a.Method != "HEAD" && !slices.Contains(s.Safe, a.Method) && !slices.Contains(s.Tokens, a.Host) {
			t.Errorf("%s was asked by %s", a.Host, a.Method)
		}
		if a.Secret && !slices.Contains(s.Hosts, a.Host) && !slices.Contains(s.Tokens, a.Host) {
			t.Errorf("%s got a credential", a.Host)
		}
	}
	for _, secret := range s.Secrets() {
		for _, text := range s.said {
			if !secret.IsZero() && strings.Contains(text, secret.Reveal()) {
				t.Error("what came back holds a secret")
			}
		}
	}
}

func key(parts []string) string { return strings.Join(parts, "\x00") }

// same compares a listing with the truth; several files may have one name.
func (s *shelf) same(l daypass.Listing) error {
	want, got := map[string]int{}, map[string]int{}
	for _, f := range s.Files {
		want[fmt.Sprintf("%q %v", f.Parts, f.Locked)]++
	}
	for _, it := range l.Items {
		got[fmt.Sprintf("%q %v", it.Parts, it.Skip != "")]++
	}
	for k, n := range want {
		if got[k] != n {
			return fmt.Errorf("%s is there %d times, listed %d times", k, n, got[k])
		}
	}
	for k := range got {
		if want[k] == 0 {
			return fmt.Errorf("%s is listed, and not there", k)
		}
	}
	return nil
}

func listsAll(t *testing.T, s *shelf) {
	l := s.list(t)
	if err := s.same(l); err != nil || !l.Complete {
		t.Fatalf("complete: %v, %v", l.Complete, err)
	}
	ids := map[string]bool{}
	for _, it := range l.Items {
		if len(it.Parts) == 0 || slices.Contains(it.Parts, "") {
			t.Errorf("the parts are %q", it.Parts)
		}
		if !s.NoIDs && (it.ID == "" || ids[it.ID]) {
			t.Errorf("%q has the id %q", it.Parts, it.ID)
		}
		ids[it.ID] = true
		if it.Mark == "" && it.Sum == "" && it.Skip == "" {
			t.Errorf("%q has no mark and no sum", it.Parts)
		}
	}
	again := s.list(t)
	a, _ := json.Marshal(told(l))
	b, _ := json.Marshal(told(again))
	if !bytes.Equal(a, b) {
		t.Errorf("the same is listed in two ways:\n%s\n%s", a, b)
	}
}

func looks(t *testing.T, s *shelf) {
	ctx := t.Context()
	first, err := s.Contents.Look(ctx, s.Source, "")
	if err != nil || first.Same {
		t.Fatalf("%+v, %v", first, err)
	}
	if back, ok := daypass.ParseSource(first.Source.String()); !ok || back != first.Source {
		t.Errorf("the source %+v is not written in one way", first.Source)
	}
	s.say(first)
	l := s.list(t)
	for what, mark := range map[string]string{"look": first.Mark, "list": l.Mark} {
		seen, err := s.Contents.Look(ctx, s.Source, mark)
		if err != nil || mark != "" && !seen.Same {
			t.Errorf("after a %s nothing changed: %+v, %v", what, seen, err)
		}
	}
	s.Change(s.Files[0].Parts, "changed, and longer than it was")
	for what, mark := range map[string]string{"look": first.Mark, "list": l.Mark, "a made up one": "0", "another's": "x:y:z"} {
		seen, err := s.Contents.Look(ctx, s.Source, mark)
		if err != nil || seen.Same {
			t.Errorf("the mark of %s, after a change: %+v, %v", what, seen, err)
		}
	}
	changed := s.list(t)
	at := func(l daypass.Listing) daypass.Item {
		return l.Items[slices.IndexFunc(l.Items, func(it daypass.Item) bool { return key(it.Parts) == key(s.Files[0].Parts) })]
	}
	if a, b := at(l), at(changed); a.Mark == b.Mark && a.Sum == b.Sum || (a.ID != b.ID) != s.Replaces {
		t.Errorf("a changed file is %+v after %+v", b, a)
	}
}

func opens(t *testing.T, s *shelf) {
	texts := map[string][]File{}
	for _, f := range s.Files {
		texts[key(f.Parts)] = append(texts[key(f.Parts)], f)
	}
	for _, it := range s.list(t).Items {
		if it.Skip != "" {
			if _, err := s.read(t.Context(), it, 0); err == nil {
				t.Errorf("%q was skipped (%s), and opens", it.Parts, it.Skip)
			}
			continue
		}
		got, err := s.read(t.Context(), it, 0)
		n := slices.IndexFunc(texts[key(it.Parts)], func(f File) bool { return f.Text == got })
		if err != nil || n < 0 {
			t.Errorf("%q holds %.40q, %v", it.Parts, got, err)
			continue
		}
		loose := texts[key(it.Parts)][n].Loose
		if it.Size >= 0 && it.Size != int64(len(got)) || it.Size < 0 && !loose || it.Sum != "" && it.Sum != sum(it.Sum, got) {
			t.Errorf("%q has %d bytes, listed as %d, %s", it.Parts, len(got), it.Size, it.Sum)
		}
		for _, from := range []int{1, len(got) / 2, len(got)} {
			if from > len(got) {
				continue
			}
			if rest, err := s.read(t.Context(), it, int64(from)); err != nil || rest != got[from:] {
				t.Errorf("%q from %d: %.40q, %v", it.Parts, from, rest, err)
			}
		}
		if rest, err := s.read(t.Context(), it, int64(len(got))+1000); err == nil && rest != "" {
			t.Errorf("%q beyond its end: %.40q", it.Parts, rest)
		}
	}
}

// sum is of a text, by the way that another sum was made.
func sum(like, text string) string {
	kind, _, _ := strings.Cut(like, ":")
	h := map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "adler32": func() hash.Hash { return adler32.New() }}[kind]
	if h == nil {
		return ""
	}
	w := h()
	io.WriteString(w, text)
	return kind + ":" + hex.EncodeToString(w.Sum(nil))
}

// none: what is not there and what may not be seen are the same.
func none(t *testing.T, s *shelf) {
	var codes []string
	for _, source := range []daypass.Source{s.Missing, s.Hidden} {
		if source == (daypass.Source{}) {
			continue
		}
		_, err := s.Contents.Look(t.Context(), source, "")
		_, err2 := s.Contents.List(t.Context(), source)
		for _, err := range []error{err, err2} {
			if !errors.Is(err, daypass.ErrNoSource) {
				t.Errorf("%s: %v", source, err)
				continue
			}
			s.say(err.Error())
			codes = append(codes, strings.ReplaceAll(strings.ReplaceAll(err.Error(), source.ID, "ID"), source.Path, "PATH"))
		}
	}
	if len(slices.Compact(codes)) > 1 {
		t.Errorf("hidden and missing are told apart: %q", codes)
	}
}

// noFolder: a folder that the source does not have is the same error, with how far its path
// leads and the names that are there; the words of the error tell none of them.
func noFolder(t *testing.T, s *shelf) {
	deepest := slices.MaxFunc(s.Files, func(a, b File) int { return len(a.Parts) - len(b.Parts) }).Parts
	for deep := range deepest {
		in := strings.Join(append(strings.Split(s.Source.Path, "/"), deepest[:deep]...), "/")
		in = strings.Trim(in, "/")
		source := s.Source
		source.Path = strings.TrimPrefix(in+"/no such folder/below", "/")
		var there []string
		for _, f := range s.Files {
			if len(f.Parts) > deep+1 && slices.Equal(f.Parts[:deep], deepest[:deep]) {
				there = append(there, f.Parts[deep])
			}
		}
		slices.Sort(there)
		there = slices.Compact(there)
		_, err := s.Contents.List(t.Context(), source)
		var no *daypass.NoFolder
		switch {
		case !errors.Is(err, daypass.ErrNoSource) || !errors.Is(err, daypass.ErrRefused):
			t.Errorf("%q: %v", source.Path, err)
			continue
		case errors.As(err, &no) == s.Blind:
			t.Errorf("%q: that it is the folder that is not there is not told: %v", source.Path, err)
		case !s.Blind && (no.In != in || no.Name != "no such folder" || !slices.Equal(no.There, there)):
			t.Errorf("%q: %+v, and there are %q", source.Path, *no, there)
		}
		s.say(err.Error())
		for _, name := range there {
			if len(name) > 3 && strings.Contains(err.Error(), name) && !strings.Contains(s.Source.String(), name) {
				t.Errorf("%q: the error says that there is %q: %v", source.Path, name, err)
			}
		}
	}
}

func oddSources(t *testing.T, s *shelf) {
	all := append(slices.Clone(s.Odd), daypass.Source{}, daypass.Source{Kind: "nothing", Host: s.Source.Host, ID: s.Source.ID})
	for _, source := range all {
		before := len(s.Asked())
		_, err := s.Contents.Look(t.Context(), source, "")
		_, err2 := s.Contents.List(t.Context(), source)
		for _, err := range []error{err, err2} {
			if !errors.Is(err, daypass.ErrRefused) && !errors.Is(err, daypass.ErrNoSource) {
				t.Errorf("%q: %v", source, err)
			}
		}
		if n := len(s.Asked()) - before; n != 0 {
			t.Errorf("%q: %d requests", source, n)
		}
	}
}

// changed: bytes that are not those that were listed never pass for them.
func changed(t *testing.T, s *shelf) {
	for _, f := range s.Files {
		if f.Locked || f.Loose || len(f.Text) == 0 {
			continue
		}
		l := s.list(t)
		n := slices.IndexFunc(l.Items, func(it daypass.Item) bool {
			got, err := s.read(t.Context(), it, 0)
			return key(it.Parts) == key(f.Parts) && err == nil && got == f.Text
		})
		if n < 0 {
			t.Fatalf("%q is not there", f.Parts)
		}
		for _, text := range []string{strings.Repeat("~", len(f.Text)), f.Text + "more"} {
			s.Change(f.Parts, text)
			got, err := s.read(t.Context(), l.Items[n], 0)
			if err == nil && got != f.Text || err != nil && !errors.Is(err, daypass.ErrChanged) {
				t.Errorf("%q changed: %.40q, %v", f.Parts, got, err)
			}
		}
		return
	}
}

// storm: a host that is asked too much is left alone soon, and said to be so.
func storm(t *testing.T, s *shelf) {
	mend := s.Break(Limited, 0)
	defer mend()
	before := len(s.Asked())
	_, err := s.Contents.List(t.Context(), s.Source)
	var l daypass.Limited
	if !errors.Is(err, daypass.ErrLimited) || !errors.As(err, &l) || l.RetryAfter() <= 0 || l.RetryAfter() > 24*time.Hour {
		t.Errorf("a storm: %v", err)
	}
	if n := len(s.Asked()) - before; n > 10 {
		t.Errorf("%d requests in a storm", n)
	}
}

func cancelled(t *testing.T, s *shelf) {
	l := s.list(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := len(s.Asked())
	_, err := s.Contents.Look(ctx, s.Source, "")
	_, err2 := s.Contents.List(ctx, s.Source)
	_, err3 := s.read(ctx, l.Items[0], 0)
	for _, err := range []error{err, err2, err3} {
		if err == nil {
			t.Error("it goes on when nobody waits")
		}
	}
	if n := len(s.Asked()) - before; n != 0 {
		t.Errorf("%d requests for nobody", n)
	}
}

func readAtOnce(t *testing.T, s *shelf) {
	l := s.list(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			again, err := s.Contents.List(t.Context(), s.Source)
			if err != nil || s.same(again) != nil {
				t.Errorf("at once: %v, %v", err, s.same(again))
			}
		})
		group.Go(func() {
			for _, it := range l.Items {
				if it.Skip == "" {
					if _, err := s.read(t.Context(), it, 0); err != nil {
						t.Errorf("at once: %q: %v", it.Parts, err)
					}
				}
			}
		})
	}
	group.Wait()
}

// mostReading is how long a method may take in any weather, with all that it tries
// again.
const mostReading = 20 * time.Minute

// weather: in whatever weather a listing is whole, says that it is not, or fails.
func (s *shelf) weather(t *testing.T, f Failure, nth int) {
	items := s.list(t).Items
	mend := s.Break(f, nth)
	began := time.Now()
	l, err := s.Contents.List(t.Context(), s.Source)
	mend()
	s.judge(t, "List", f, nth, err)
	if wrong := s.same(l); err == nil && l.Complete && wrong != nil {
		t.Errorf("%s at request %d: a listing that says it is complete: %v", f, nth, wrong)
	}
	s.say(told(l))
	mend = s.Break(f, nth)
	_, err = s.Contents.Look(t.Context(), s.Source, "")
	mend()
	s.judge(t, "Look", f, nth, err)
	n := slices.IndexFunc(items, func(it daypass.Item) bool { return it.Skip == "" && it.Size > 1000 })
	if n < 0 {
		t.Fatal("the fixture has no file of more than 1,000 bytes")
	}
	mend = s.Break(f, nth)
	text, err := s.read(t.Context(), items[n], 0)
	mend()
	if !s.Held || err != nil {
		s.judge(t, "Open", f, nth, err)
	}
	if err == nil && !slices.ContainsFunc(s.Files, func(f File) bool { return f.Text == text }) {
		t.Errorf("%s at request %d: bytes that are none of a file", f, nth)
	}
	if took := time.Since(began); took > mostReading {
		t.Errorf("%s at request %d: it took %v", f, nth, took)
	}
}

// judge holds an error to be of the contract's kinds.
func (s *shelf) judge(t *testing.T, what string, f Failure, nth int, err error) {
	t.Helper()
	if err == nil {
		if nth == 0 {
			t.Errorf("%s, %s at each request: all is well", what, f)
		}
		return
	}
	s.say(err.Error())
	for _, kind := range []error{daypass.ErrUnreachable, daypass.ErrRefused, daypass.ErrChanged} {
		if errors.Is(err, kind) {
			return
		}
	}
	t.Errorf("%s, %s at request %d: %v is of no kind", what, f, nth, err)
}
