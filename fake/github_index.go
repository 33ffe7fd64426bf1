package fake

import (
	"cmp"
	"crypto/rsa"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// An index finds what is in the world without looking at all of it: a bench
// has ten thousand users. Names are in lower case, for GitHub's are
// case-insensitive. What has been put in under a name is taken out by
// building the index anew.
type index struct {
	users    map[string]*User
	orgs     map[string]*Org
	apps     map[string]*App // by client id
	appIDs   map[int64]*App
	slugs    map[string]*App
	keys     map[string][]*rsa.PublicKey // by client id
	accounts map[int64]string            // logins by number
	repos    map[string]*Repo            // by OWNER/NAME
	repoIDs  map[int64]*Repo
	owned    map[string][]*Repo // by owner
	shared   map[string][]*Repo // by login of those in the Repo's Access
	installs map[string]*Installation
	numbers  map[int64]*Installation
	ofApp    map[string][]*Installation // by client id
}

func installKey(clientID, account string) string { return clientID + " " + strings.ToLower(account) }

// reindex builds the index from the lists. It holds g.mu.
func (g *GitHub) reindex() {
	g.index = index{
		users: map[string]*User{}, orgs: map[string]*Org{}, apps: map[string]*App{}, slugs: map[string]*App{},
		appIDs: map[int64]*App{}, keys: map[string][]*rsa.PublicKey{}, accounts: map[int64]string{},
		repos: map[string]*Repo{}, repoIDs: map[int64]*Repo{}, owned: map[string][]*Repo{}, shared: map[string][]*Repo{},
		installs: map[string]*Installation{}, numbers: map[int64]*Installation{}, ofApp: map[string][]*Installation{},
	}
	for _, u := range g.users {
		g.indexUser(u)
	}
	for _, o := range g.orgs {
		g.indexOrg(o)
	}
	for _, a := range g.apps {
		g.indexApp(a)
	}
	for _, r := range g.repos {
		g.indexRepo(r)
	}
	for _, i := range g.installs {
		g.indexInstall(i)
	}
}

// putFirst keeps what is there: of two with one name the first counts.
func putFirst[K comparable, V any](m map[K]V, k K, v V) {
	if _, taken := m[k]; !taken {
		m[k] = v
	}
}

func (g *GitHub) indexUser(u *User) {
	putFirst(g.index.users, strings.ToLower(u.Login), u)
	putFirst(g.index.accounts, u.ID, u.Login)
}

func (g *GitHub) indexOrg(o *Org) {
	putFirst(g.index.orgs, strings.ToLower(o.Login), o)
	putFirst(g.index.accounts, o.ID, o.Login)
}

func (g *GitHub) indexApp(a *App) {
	putFirst(g.index.apps, a.ClientID, a)
	putFirst(g.index.appIDs, a.ID, a)
	putFirst(g.index.slugs, strings.ToLower(a.Slug), a)
	g.index.keys[a.ClientID] = nil
	for _, text := range a.Keys {
		if k := publicKey(text); k != nil {
			g.index.keys[a.ClientID] = append(g.index.keys[a.ClientID], k)
		}
	}
}

func (g *GitHub) indexRepo(r *Repo) {
	putFirst(g.index.repos, strings.ToLower(r.FullName()), r)
	putFirst(g.index.repoIDs, r.ID, r)
	owner := strings.ToLower(r.Owner)
	g.index.owned[owner] = append(g.index.owned[owner], r)
	for login := range r.Access {
		login = strings.ToLower(login)
		g.index.shared[login] = append(g.index.shared[login], r)
	}
}

func (g *GitHub) indexInstall(i *Installation) {
	putFirst(g.index.installs, installKey(i.App, i.Account), i)
	putFirst(g.index.numbers, i.ID, i)
	g.index.ofApp[i.App] = append(g.index.ofApp[i.App], i)
}

// The look-ups below hold g.mu.

func (g *GitHub) userNamed(login string) *User { return g.index.users[strings.ToLower(login)] }

func (g *GitHub) orgNamed(login string) *Org { return g.index.orgs[strings.ToLower(login)] }

func (g *GitHub) appWith(clientID string) *App { return g.index.apps[clientID] }

func (g *GitHub) appWithSlug(slug string) *App { return g.index.slugs[strings.ToLower(slug)] }

func (g *GitHub) repoNamed(full string) *Repo { return g.index.repos[strings.ToLower(full)] }

func (g *GitHub) repoWith(id int64) *Repo { return g.index.repoIDs[id] }

func (g *GitHub) installationOf(a *App, account string) *Installation {
	return g.index.installs[installKey(a.ClientID, account)]
}

// around returns an App's installations on the accounts in which a user has a
// repository, and on the user's own, in the order of their numbers.
func (g *GitHub) around(app *App, login string) []*Installation {
	accounts := map[string]bool{strings.ToLower(login): true}
	for _, r := range g.index.shared[strings.ToLower(login)] {
		accounts[strings.ToLower(r.Owner)] = true
	}
	var out []*Installation
	for account := range maps.Keys(accounts) {
		if i := g.installationOf(app, account); i != nil {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b *Installation) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// installationNumbered returns an App's own installation, by the text of its
// number.
func (g *GitHub) installationNumbered(app *App, id string) *Installation {
	n, err := strconv.ParseInt(id, 10, 64)
	if i := g.index.numbers[n]; err == nil && i != nil && i.App == app.ClientID {
		return i
	}
	return nil
}
