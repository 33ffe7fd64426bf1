package pass

import (
	"errors"
	"io"
	"strings"
)

// A Kind of realm says whose table a pass is looked up in.
type Kind uint8

// The kinds of realm.
const (
	NoRealm Kind = iota // the zero value: nobody's
	Hub                 // an access service: git and content
	Index               // a package gateway
	Plugin              // a devpi server's own devpi-tokens, whose identifiers name no realm
)

// A Realm is who accepts a pass: one access service or one package gateway.
// It stands in the signed identifier. Each realm has keys and a table of its
// own, so that the same user and id in two of them are two passes.
type Realm struct {
	Kind Kind
	Name string // 1 to 32 of A-Z a-z 0-9 _; empty for Plugin
}

// An Identity is what a pass's identifier says. As text it is
//
//	daypass:hub:NAME:ID   of a Hub: no hyphen, so that devpi-tokens does not take it for its own
//	USER-ID.NAME          of an Index: devpi's clients read the user before the last hyphen
//	USER-ID               of a Plugin: ID has eight characters
type Identity struct {
	Realm Realm
	User  string // the devpi user; empty in a Hub's, whose table knows whose pass it is
	ID    string
}

var errIdentity = errors.New("pass: a realm's name and a pass's id are of letters and digits, a user's name is plain ASCII")

const hubMark = "daypass:hub:"

// idLetters are devpi-tokens': none that is read as another.
const idLetters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NewID draws an id of 16 characters, 92 bits, from a source such as crypto/rand's.
func NewID(random io.Reader) (string, error) {
	out := make([]byte, 0, 16)
	var buf [32]byte
	for range 64 { // each round gives 27 on the average
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return "", err
		}
		for _, b := range buf {
			if n := int(b); n < 4*len(idLetters) && len(out) < cap(out) {
				out = append(out, idLetters[n%len(idLetters)])
			}
		}
		if len(out) == cap(out) {
			return string(out), nil
		}
	}
	return "", errors.New("pass: the source of randomness gives none")
}

func (id Identity) text() (string, error) {
	switch {
	case id.Realm.Kind == Hub && id.User == "" && word(id.Realm.Name, 32) && word(id.ID, 32):
		return hubMark + id.Realm.Name + ":" + id.ID, nil
	case id.Realm.Kind == Index && userName(id.User) && word(id.Realm.Name, 32) && word(id.ID, 32):
		return id.User + "-" + id.ID + "." + id.Realm.Name, nil
	case id.Realm == Realm{Kind: Plugin} && userName(id.User) && pluginID(id.ID):
		return id.User + "-" + id.ID, nil
	}
	return "", errIdentity
}

// Identity reads the identifier; false where it is of none of our forms, as
// PyPI's are.
func (p Pass) Identity() (Identity, bool) {
	s := p.Identifier()
	if rest, ok := strings.CutPrefix(s, hubMark); ok {
		name, id, _ := strings.Cut(rest, ":")
		if word(name, 32) && word(id, 32) {
			return Identity{Realm: Realm{Hub, name}, ID: id}, true
		}
	}
	i := strings.LastIndexByte(s, '-')
	if i < 0 || !userName(s[:i]) {
		return Identity{}, false
	}
	user, rest := s[:i], s[i+1:]
	id, name, ours := strings.Cut(rest, ".")
	switch {
	case ours && word(id, 32) && word(name, 32):
		return Identity{Realm: Realm{Index, name}, User: user, ID: id}, true
	case !ours && pluginID(id):
		return Identity{Realm: Realm{Kind: Plugin}, User: user, ID: id}, true
	}
	return Identity{}, false
}

// word reports whether s has 1 to most letters, digits and low lines.
func word(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c|0x20-'a' >= 26 && c-'0' >= 10 && c != '_' { // c|0x20 is a letter's lower case
			return false
		}
	}
	return true
}

func pluginID(s string) bool {
	return len(s) == 8 && word(s, 8) && !strings.Contains(s, "_")
}

// userName allows what devpi does, as far as it is visible ASCII.
func userName(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '/' || s[i] == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
