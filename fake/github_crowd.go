package fake

import (
	"fmt"
	"strings"
)

// SetCallbacks replaces the callback addresses of an App, as in its settings.
func (g *GitHub) SetCallbacks(clientID string, urls ...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.appWith(clientID)
	if a == nil || len(urls) > 10 {
		return fmt.Errorf("fake: no App %q, or more than ten addresses", clientID)
	}
	a.CallbackURLs = append([]string{}, urls...)
	return nil
}

// Crowd returns a seed of many users, user0 and so on, each with as many
// private repositories, repo0 and so on, all of them with the App installed.
// Numbers start at ten million. It is for [GitHub.Add].
func Crowd(clientID string, users, repos int) Seed {
	const base = 10_000_000
	var s Seed
	for u := range users {
		login := fmt.Sprintf("user%d", u)
		s.Users = append(s.Users, User{ID: base + int64(u), Login: login})
		s.Installations = append(s.Installations, Installation{ID: base + int64(u), App: clientID, Account: login, All: true})
		for r := range repos {
			s.Repos = append(s.Repos, Repo{ID: base + int64(u*repos+r), Owner: login, Name: fmt.Sprintf("repo%d", r), Private: true})
		}
	}
	return s
}

// Add puts more into the world, in time that grows with what is added and not
// with what is there. The folders of repositories are made when git first asks
// for them. Nothing is added when a name or a number is taken.
func (g *GitHub) Add(s Seed) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.taken(s); err != nil {
		return err
	}
	for _, u := range s.Users {
		g.users = append(g.users, &u)
		g.indexUser(&u)
	}
	for _, o := range s.Orgs {
		g.orgs = append(g.orgs, &o)
		g.indexOrg(&o)
	}
	for _, a := range s.Apps {
		added := newApp(a)
		g.apps = append(g.apps, added)
		g.indexApp(added)
	}
	for _, r := range s.Repos {
		added := newRepo(r)
		g.repos = append(g.repos, added)
		g.indexRepo(added)
	}
	for _, i := range s.Installations {
		i.Repos = append([]int64(nil), i.Repos...)
		g.installs = append(g.installs, &i)
		g.indexInstall(&i)
	}
	for from, to := range s.Renames {
		g.renames[strings.ToLower(from)] = to
	}
	return nil
}

// taken finds what of a seed is there already. It holds g.mu.
func (g *GitHub) taken(s Seed) error {
	for _, u := range s.Users {
		if g.userNamed(u.Login) != nil || g.orgNamed(u.Login) != nil || g.index.accounts[u.ID] != "" {
			return fmt.Errorf("fake: add %s: its name or number is taken", u.Login)
		}
	}
	for _, o := range s.Orgs {
		if g.userNamed(o.Login) != nil || g.orgNamed(o.Login) != nil || g.index.accounts[o.ID] != "" {
			return fmt.Errorf("fake: add %s: its name or number is taken", o.Login)
		}
	}
	for _, a := range s.Apps {
		if g.appWith(a.ClientID) != nil || g.index.appIDs[a.ID] != nil {
			return fmt.Errorf("fake: add App %s: its client id or number is taken", a.ClientID)
		}
	}
	for _, r := range s.Repos {
		if g.repoNamed(r.FullName()) != nil || g.repoWith(r.ID) != nil {
			return fmt.Errorf("fake: add %s: its name or number is taken", r.FullName())
		}
	}
	for _, i := range s.Installations {
		if g.index.numbers[i.ID] != nil || g.index.installs[installKey(i.App, i.Account)] != nil {
			return fmt.Errorf("fake: add installation %d: its number or account is taken", i.ID)
		}
	}
	return nil
}
