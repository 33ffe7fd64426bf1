package gitconf

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPerson(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	file := filepath.Join(w.home, ".gitconfig")
	set := func(name, email string) Change {
		t.Helper()
		c, err := w.Person(ctx, name, email)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	is := func(key, want string) {
		t.Helper()
		if got, err := w.Git.Get(ctx, key); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", key, got, err, want)
		}
	}

	for _, bad := range [][2]string{{"", "a@b"}, {"A", ""}, {"A\nB", "a@b"}, {"A", "a@b\x1b"}} {
		if c := set(bad[0], bad[1]); c.Added != "" {
			t.Errorf("%q: added %q", bad, c.Added)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a file was made for nothing")
	}

	set(`Octo "the" Researcher; #1`, "octo@example.org")
	is("user.name", `Octo "the" Researcher; #1`)
	if c := set(`Octo "the" Researcher; #1`, "octo@example.org"); c.Added != "" {
		t.Errorf("set twice: %q", c.Added)
	}

	// Another account was connected: what was ours follows.
	if _, err := w.Undo(ctx, "", false); err != nil {
		t.Fatal(err)
	}
	set("Octo", "octo@example.org")
	if c := set("Ada", "ada@example.org"); !c.Replaced {
		t.Errorf("not replaced: %+v", c)
	}
	is("user.name", "Ada")
	is("user.email", "ada@example.org")

	// What somebody changed is theirs.
	before, _ := os.ReadFile(file)
	if err := os.WriteFile(file, append(before, "[user]\n\tname = Me\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if c := set("Octo", "octo@example.org"); c.Added != "" {
		t.Errorf("overwrote somebody's name: %+v", c)
	}
	is("user.name", "Me")

	// Undo takes away what was ours, and nothing else.
	if _, err := w.Undo(ctx, "", false); err != nil {
		t.Fatal(err)
	}
	is("user.name", "Me")
	is("user.email", "")
}

func TestPersonLeavesHalfAlone(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.home, ".gitconfig")
	text := "[user]\n\temail = me@example.org\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Person(t.Context(), "Octo", "octo@example.org"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != text {
		t.Errorf("the file became %q", got)
	}
}
