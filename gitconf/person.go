package gitconf

import (
	"bytes"
	"context"
	"strings"
	"time"
)

// Person sets user.name and user.email in the user's file where git has neither,
// in a block of their own that [Setup.Undo] takes back. Where it has what an
// earlier call had set, and nobody has changed that, it brings it up to date:
// the person may have connected another account. In any other case it does
// nothing: what somebody set, or set one of, is theirs.
func (s Setup) Person(ctx context.Context, name, email string) (Change, error) {
	r := Request{UserName: name, UserEmail: email}
	if name == "" || email == "" || !plain(name) || !plain(email) {
		return Change{}, nil
	}
	file, err := s.target(ctx, false)
	if err != nil {
		return Change{}, err
	}
	rec, unlock, err := s.openRecord(false, true)
	if err != nil {
		return Change{}, err
	}
	defer unlock()
	e := &edit{git: s.Git, file: file, write: true}
	if err := e.open(ctx); err != nil {
		return Change{}, err
	}
	defer e.close()
	fr := rec.file(e.file)
	out := Change{File: e.file}
	entries, err := s.personEntries(ctx, r, fr.find(identityKey), e.text)
	if err != nil || entries == nil {
		return out, err
	}
	text, err := s.Git.render(ctx, entries)
	if err != nil {
		return out, err
	}
	if b := fr.find(identityKey); b != nil {
		if b.Text == string(text) {
			return out, nil
		}
		out.Replaced = true
		if _, err := e.cut(ctx, fr, identityKey); err != nil {
			return out, err
		}
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	b := block{Key: identityKey, At: now().UTC(), Text: string(text), entries: entries}
	if err := e.append(ctx, fr, b); err != nil {
		return out, err
	}
	out.Added = b.Text
	return out, rec.saveWith(e.commit)
}

// personEntries is what belongs into the block; nil where it is left alone.
func (s Setup) personEntries(ctx context.Context, r Request, have *block, file []byte) ([]setting, error) {
	wanted := []setting{{"user.name", r.UserName}, {"user.email", r.UserEmail}}
	ours := have != nil && bytes.Contains(file, []byte(have.Text)) &&
		strings.Contains(have.Text, "name = ") && strings.Contains(have.Text, "email = ")
	if ours && strings.Contains(have.Text, "[push]") {
		wanted = append(wanted, setting{"push.default", "simple"})
	}
	for _, key := range []string{"user.name", "user.email"} {
		value, err := s.Git.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if value == "" {
			continue
		}
		if !ours {
			return nil, nil
		}
		// Ours is intact; is it also what counts, or does a later line?
		if !strings.Contains(have.Text, value) {
			return nil, nil
		}
	}
	return wanted, nil
}
