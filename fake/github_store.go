package fake

import (
	"slices"
	"strings"
	"time"
)

// A store of tokens finds each by its value and by whose it is. It holds
// values only in memory, as the rest of the fake does.
type tokens struct {
	all     []*token // in the order in which they were made
	access  map[string]*token
	refresh map[string]*token
	owners  map[string][]*token // by client id and login
	used    map[string]*token   // by a refresh token of the past
	kept    int                 // how many the last sweep left
	lastID  int64
}

func newTokens() tokens {
	return tokens{access: map[string]*token{}, refresh: map[string]*token{}, owners: map[string][]*token{}, used: map[string]*token{}}
}

func ownerKey(clientID, login string) string { return clientID + " " + strings.ToLower(login) }

// held returns the tokens that a user ever had of an App, oldest first, but
// for those that have been swept out.
func (s *tokens) held(clientID, login string) []*token { return s.owners[ownerKey(clientID, login)] }

// add puts a token in, and now and then sweeps out those that are over, so
// that a long run does not grow without end.
func (s *tokens) add(t *token, now time.Time) {
	s.lastID++
	t.id = s.lastID
	s.all = append(s.all, t)
	s.access[t.access] = t
	if t.refresh != "" {
		s.refresh[t.refresh] = t
	}
	key := ownerKey(t.app.ClientID, t.user)
	list := append(s.owners[key], t)
	if len(list)%64 == 0 {
		list = slices.DeleteFunc(list, func(t *token) bool { return t.over(now) })
	}
	s.owners[key] = list
	if len(s.all) > 4096 && len(s.all) > 2*s.kept {
		s.sweep(now)
	}
}

func (s *tokens) sweep(now time.Time) {
	over := func(t *token) bool { return t.over(now) }
	for _, t := range s.all {
		if t.over(now) {
			s.endAccess(t)
			s.endRefresh(t)
		}
		t.children = slices.DeleteFunc(t.children, over)
	}
	s.all = slices.DeleteFunc(s.all, over)
	for value, t := range s.used {
		last := t
		for last.heir != nil {
			last = last.heir
		}
		if last.over(now) {
			delete(s.used, value)
		}
	}
	for key, list := range s.owners {
		if list = slices.DeleteFunc(list, over); len(list) == 0 {
			delete(s.owners, key)
		} else {
			s.owners[key] = list
		}
	}
	s.kept = len(s.all)
}

// over reports whether neither half will ever work again.
func (t *token) over(now time.Time) bool {
	return (t.access == "" || !t.accessEnds.IsZero() && !now.Before(t.accessEnds)) &&
		(t.refresh == "" || !now.Before(t.refreshEnds))
}

// rename keeps a user's tokens under their new login.
func (s *tokens) rename(from, to string) {
	for _, t := range s.all {
		if strings.EqualFold(t.user, from) {
			s.owners[ownerKey(t.app.ClientID, to)] = append(s.owners[ownerKey(t.app.ClientID, to)], t)
			delete(s.owners, ownerKey(t.app.ClientID, from))
			t.user = to
		}
	}
}

// endAccess ends the access token and reports whether there was one.
func (s *tokens) endAccess(t *token) bool {
	was := t.access != ""
	delete(s.access, t.access)
	t.access = ""
	return was
}

// endRefresh ends the refresh token and reports whether there was one.
func (s *tokens) endRefresh(t *token) bool {
	was := t.refresh != ""
	delete(s.refresh, t.refresh)
	t.refresh = ""
	return was
}
