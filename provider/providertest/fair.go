package providertest

import (
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

func consent(t *testing.T, w *world) {
	page := w.Issuer.ConsentURL(daypass.Consent{State: "s&t=1", Challenge: challenge(), Redirect: w.Redirect, Login: "somebody", Choose: true})
	u, err := url.Parse(page)
	if err != nil || u.User != nil || u.Fragment != "" || u.Scheme != "https" {
		t.Fatalf("the page is %q, %v", page, err)
	}
	for k, want := range map[string]string{
		"state": "s&t=1", "code_challenge": challenge(), "code_challenge_method": "S256", "redirect_uri": w.Redirect,
	} {
		if got := u.Query()[k]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	g := w.connect(t)
	if g.Access.IsZero() || !g.Until.After(w.Now()) || g.Refresh.IsZero() != g.Renew.IsZero() {
		t.Errorf("the grant ends at %v, its renewal at %v", g.Until, g.Renew)
	}
	if !g.Refresh.IsZero() && !g.Renew.After(g.Until) {
		t.Errorf("the renewal ends at %v, before the token does", g.Renew)
	}
}

func spentCodes(t *testing.T, w *world) {
	code := w.code(t)
	if _, err := w.Issuer.Exchange(t.Context(), code, verifier, w.Redirect); err != nil {
		t.Fatal(err)
	}
	_, err := w.Issuer.Exchange(t.Context(), code, verifier, w.Redirect)
	w.quiet(t, err)
	is(t, "a code for the second time", err, daypass.ErrRefused)
	_, err = w.Issuer.Exchange(t.Context(), w.code(t), verifier+"x", w.Redirect)
	w.quiet(t, err)
	is(t, "another verifier", err, daypass.ErrRefused)
	_, err = w.Issuer.Exchange(t.Context(), "no-such-code", verifier, w.Redirect)
	is(t, "an unknown code", err, daypass.ErrRefused)
}

func whose(t *testing.T, w *world) {
	got, err := w.Issuer.Whose(t.Context(), w.connect(t).Access)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != w.Account.ID || got.Login != w.Account.Login || got.Email == "" {
		t.Errorf("the account is %+v, want %+v", got, w.Account)
	}
}

func refresh(t *testing.T, w *world) {
	old := w.connect(t)
	if old.Refresh.IsZero() {
		t.Skip("this issuer gives nothing to renew with")
	}
	content := w.Issuer.Traits().Content
	var child daypass.Child
	if !content {
		child = w.child(t, old, daypass.Read, w.Write)
	}
	g, err := w.Issuer.Refresh(t.Context(), old.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	w.keep(g.Access, g.Refresh)
	if g.Access.Equal(old.Access) || g.Refresh.IsZero() || !g.Until.After(w.Now()) {
		t.Error("the new pair is not new")
	}
	if _, err := w.Issuer.Whose(t.Context(), g.Access); err != nil {
		t.Errorf("the new token: %v", err)
	}
	_, err = w.Issuer.Whose(t.Context(), old.Access)
	w.quiet(t, err)
	is(t, "the old token", err, daypass.ErrSpent)
	again, err := w.Issuer.Refresh(t.Context(), old.Refresh)
	w.keep(again.Access, again.Refresh)
	w.quiet(t, err)
	switch {
	case !w.Keeps:
		is(t, "the old renewal", err, daypass.ErrSpent)
	case err != nil || !again.Refresh.Equal(old.Refresh) || again.Access.Equal(g.Access):
		t.Errorf("the same renewal again: %v", err)
	}
	if content {
		return
	}
	live, err := w.Issuer.Live(t.Context(), child.Token)
	if err != nil || w.Issuer.Traits().ChildrenSurvive && !live {
		t.Errorf("the child is alive: %v, %v", live, err)
	}
}

func rights(t *testing.T, w *world) {
	g := w.connect(t)
	for _, c := range []struct {
		name string
		repo daypass.Repo
		want daypass.Access
	}{{"write", w.Write, daypass.Write}, {"read", w.Read, daypass.Read}, {"public", w.Public, daypass.Read}, {"hidden", w.Hidden, daypass.NoAccess}} {
		for _, asked := range []daypass.Repo{c.repo, {ID: c.repo.ID}, {Owner: c.repo.Owner, Name: c.repo.Name}} {
			r, err := w.Issuer.RightTo(t.Context(), g.Access, asked)
			if c.want == daypass.NoAccess {
				is(t, c.name, err, daypass.ErrNoSuchRepo)
				continue
			}
			if err != nil || r.Repo.ID != c.repo.ID || !r.Repo.SameName(c.repo) || r.Access < c.want || c.name == "read" && r.Access > c.want {
				t.Errorf("%s, asked by %+v: %+v, %v", c.name, asked, r, err)
			}
		}
	}
	for _, odd := range []daypass.Repo{{}, {Owner: "..", Name: ".."}, {Owner: "a", Name: "b/c"}, {Owner: "a?b", Name: "c"}, {ID: -1}} {
		_, err := w.Issuer.RightTo(t.Context(), g.Access, odd)
		is(t, "an odd name", err, daypass.ErrNoSuchRepo)
	}
}

func reach(t *testing.T, w *world) {
	g := w.connect(t)
	all, complete, err := w.Issuer.Reach(t.Context(), g.Access, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if !complete {
		t.Error("a small reach is not complete")
	}
	if n := at(all, w.Write); n < 0 || all[n].Access != daypass.Write {
		t.Errorf("%v is not in reach for writing", w.Write)
	}
	if n := at(all, w.Read); n < 0 || all[n].Access != daypass.Read {
		t.Errorf("%v is not in reach for reading", w.Read)
	}
	if at(all, w.Bare) >= 0 || at(all, w.Hidden) >= 0 {
		t.Error("more is in reach than the App is on")
	}
	one, complete, err := w.Issuer.Reach(t.Context(), g.Access, 1)
	if err != nil || len(one) != 1 || complete {
		t.Errorf("at most one: %d, complete %v, %v", len(one), complete, err)
	}
	if u, err := url.Parse(w.Issuer.ReachURL()); err != nil || u.Scheme != "https" || u.Host == "" {
		t.Errorf("the page to change it is %q", w.Issuer.ReachURL())
	}
}

func at(all []daypass.Right, repo daypass.Repo) int {
	return slices.IndexFunc(all, func(r daypass.Right) bool { return r.Repo.ID == repo.ID })
}

func narrow(t *testing.T, w *world) {
	g := w.connect(t)
	for _, access := range []daypass.Access{daypass.Read, daypass.Write} {
		c := w.child(t, g, access, w.Write)
		s := c.Scope
		if s.All || len(s.Repos) != 1 || s.Repos[0].ID != w.Write.ID || s.Access != access || s.Host != w.Issuer.Host() || c.Username == "" {
			t.Errorf("the scope is %+v", s)
		}
		if !c.Ends.After(w.Now()) || s.Until.After(c.Ends) || s.Until.After(w.Now().Add(time.Hour)) {
			t.Errorf("it is said to be good until %v, and ends at %v", s.Until, c.Ends)
		}
		if got := w.Can(c.Token, w.Write); got != access {
			t.Errorf("a child for %v may %v", access, got)
		}
		for _, other := range []daypass.Repo{w.Read, w.Hidden, w.Bare} {
			if got := w.Can(c.Token, other); got != daypass.NoAccess {
				t.Errorf("a child for %v may %v %v", w.Write, got, other)
			}
		}
	}
	if live, err := w.Issuer.Live(t.Context(), g.Access); err != nil || !live {
		t.Errorf("the parent is alive: %v, %v", live, err)
	}
}

// neverWider: what cannot be had is refused, and nothing stays alive of it.
func neverWider(t *testing.T, w *world) {
	g := w.connect(t)
	before := w.Living()
	name := daypass.Repo{Owner: w.Write.Owner, Name: w.Write.Name}
	all := w.scope(daypass.Write)
	all.All = true
	foreign := w.scope(daypass.Read, w.Write)
	foreign.Host = "other.example"
	far := daypass.Repo{Owner: "somebody-else", Name: "x", ID: w.Write.ID + 100_000}
	for what, s := range map[string]daypass.Scope{
		"nothing": {}, "no repository": w.scope(daypass.Read), "no access": w.scope(daypass.NoAccess, w.Write), "everything": all, "another host": foreign,
		"a name without a number": w.scope(daypass.Read, name), "a number without a name": w.scope(daypass.Read, daypass.Repo{ID: w.Write.ID}),
		"two owners": w.scope(daypass.Read, w.Write, far), "not the App's": w.scope(daypass.Read, w.Bare), "hidden": w.scope(daypass.Read, w.Hidden),
		"one of two": w.scope(daypass.Read, w.Write, daypass.Repo{Owner: w.Write.Owner, Name: "hidden-one", ID: w.Bare.ID}),
	} {
		c, err := w.Issuer.Narrow(t.Context(), g.Access, s)
		w.quiet(t, err)
		is(t, what, err, daypass.ErrRefused)
		if !c.Token.IsZero() {
			t.Errorf("%s: a token came with the refusal", what)
		}
	}
	if n := w.Living(); n != before {
		t.Errorf("%d tokens are alive, %d before", n, before)
	}
}

func asHub(t *testing.T, w *world) {
	if !w.Issuer.Traits().AsHub {
		_, err := w.Issuer.IssueAsHub(t.Context(), w.scope(daypass.Read, w.Content))
		is(t, "without an App for content", err, daypass.ErrRefused)
		_, err = w.Issuer.RightAsHub(t.Context(), w.Content, w.Account)
		is(t, "the right without an App for content", err, daypass.ErrRefused)
		return
	}
	r, err := w.Issuer.LookAsHub(t.Context(), daypass.Repo{Owner: w.Content.Owner, Name: w.Content.Name})
	if err != nil || r.Repo.ID != w.Content.ID || !r.Repo.SameName(w.Content) || r.Access != daypass.Read || r.Admin {
		t.Errorf("looking: %+v, %v", r, err)
	}
	if r, err := w.Issuer.RightAsHub(t.Context(), daypass.Repo{Owner: w.Content.Owner, Name: w.Content.Name}, w.Teacher); err != nil || r.Repo.ID != w.Content.ID || !r.Admin || r.Access != daypass.Write {
		t.Errorf("what the teacher may: %+v, %v", r, err)
	}
	another := w.Teacher
	another.ID++ // the login is somebody else's today
	for name, who := range map[string]daypass.Account{"a stranger": w.Account, "another who bears the login": another, "nobody": {}, "no login": {ID: w.Teacher.ID}} {
		_, err := w.Issuer.RightAsHub(t.Context(), w.Content, who)
		is(t, name, err, daypass.ErrNoSuchRepo)
	}
	_, err = w.Issuer.RightAsHub(t.Context(), w.NoContent, w.Teacher)
	is(t, "the right where the App is not", err, daypass.ErrNoSuchRepo)
	if n := w.Living(); n != 0 {
		t.Errorf("looking left %d tokens", n)
	}
	c, err := w.Issuer.IssueAsHub(t.Context(), w.scope(daypass.Read, w.Content))
	if err != nil {
		t.Fatal(err)
	}
	w.keep(c.Token)
	if got := w.Can(c.Token, w.Content); got != daypass.Read || c.Scope.Access != daypass.Read || !c.Ends.After(w.Now()) || c.Scope.Until.After(c.Ends) {
		t.Errorf("it may %v, scope %+v, ends %v", got, c.Scope, c.Ends)
	}
	if got := w.Can(c.Token, w.NoContent); got != daypass.NoAccess {
		t.Errorf("it may %v what it was not made for", got)
	}
	if live, err := w.Issuer.Live(t.Context(), c.Token); err != nil || !live {
		t.Errorf("alive: %v, %v", live, err)
	}
	for range 2 {
		if err := w.Issuer.Revoke(t.Context(), c.Token); err != nil {
			t.Errorf("revoke: %v", err)
		}
	}
	if live, err := w.Issuer.Live(t.Context(), c.Token); err != nil || live {
		t.Errorf("after it was revoked it is alive: %v, %v", live, err)
	}
	_, err = w.Issuer.IssueAsHub(t.Context(), w.scope(daypass.Write, w.Content))
	is(t, "to write", err, daypass.ErrRefused)
	_, err = w.Issuer.IssueAsHub(t.Context(), w.scope(daypass.Read, w.NoContent))
	is(t, "where the App is not", err, daypass.ErrNoSuchRepo)
	_, err = w.Issuer.LookAsHub(t.Context(), daypass.Repo{Owner: w.NoContent.Owner, Name: w.NoContent.Name})
	is(t, "looking where the App is not", err, daypass.ErrNoSuchRepo)
	if n := w.Living(); n != 0 {
		t.Errorf("%d tokens are alive at the end", n)
	}
}

func revoke(t *testing.T, w *world) {
	g := w.connect(t)
	one, two := w.child(t, g, daypass.Write, w.Write), w.child(t, g, daypass.Read, w.Read)
	for range 2 {
		if err := w.Issuer.Revoke(t.Context(), one.Token); err != nil {
			t.Errorf("revoke: %v", err)
		}
	}
	for what, c := range map[string]struct {
		token daypass.Secret
		want  bool
	}{"the child": {one.Token, false}, "the other child": {two.Token, true}, "the parent": {g.Access, true}} {
		if live, err := w.Issuer.Live(t.Context(), c.token); err != nil || live != c.want {
			t.Errorf("%s is alive: %v, %v", what, live, err)
		}
	}
	if got := w.Can(one.Token, w.Write); got != daypass.NoAccess {
		t.Errorf("a revoked child may %v", got)
	}
}

func disconnect(t *testing.T, w *world) {
	g := w.connect(t)
	if !w.Issuer.Traits().Content {
		w.child(t, g, daypass.Read, w.Write)
	}
	for range 2 {
		if err := w.Issuer.Disconnect(t.Context(), g.Access); err != nil {
			t.Errorf("disconnect: %v", err)
		}
	}
	if n := w.Living(); n != 0 {
		t.Errorf("%d tokens are alive", n)
	}
	if g.Refresh.IsZero() {
		return
	}
	_, err := w.Issuer.Refresh(t.Context(), g.Refresh)
	is(t, "a renewal after the end", err, daypass.ErrSpent)
}

func deadTokens(t *testing.T, w *world) {
	g := w.connect(t)
	if g.Until.Equal(daypass.Forever) {
		t.Skip("this issuer's tokens do not end")
	}
	w.Advance(g.Until.Sub(w.Now()) + time.Minute)
	for what, ask := range map[string]func() error{
		"whose": func() error { _, err := w.Issuer.Whose(t.Context(), g.Access); return err },
		"right": func() error { _, err := w.Issuer.RightTo(t.Context(), g.Access, w.Write); return err },
		"reach": func() error { _, _, err := w.Issuer.Reach(t.Context(), g.Access, 10); return err },
		"narrow": func() error {
			_, err := w.Issuer.Narrow(t.Context(), g.Access, w.scope(daypass.Read, w.Write))
			return err
		},
	} {
		if w.Issuer.Traits().Content && what != "whose" {
			continue
		}
		err := ask()
		w.quiet(t, err)
		is(t, what, err, daypass.ErrSpent)
	}
	if err := w.Issuer.Revoke(t.Context(), g.Access); err != nil {
		t.Errorf("revoke: %v", err)
	}
}

// nothing: a zero secret is no token, and is never sent.
func nothing(t *testing.T, w *world) {
	var none daypass.Secret
	for what, ask := range map[string]func() error{
		"whose":   func() error { _, err := w.Issuer.Whose(t.Context(), none); return err },
		"right":   func() error { _, err := w.Issuer.RightTo(t.Context(), none, w.Public); return err },
		"reach":   func() error { _, _, err := w.Issuer.Reach(t.Context(), none, 10); return err },
		"narrow":  func() error { _, err := w.Issuer.Narrow(t.Context(), none, w.scope(daypass.Read, w.Write)); return err },
		"refresh": func() error { _, err := w.Issuer.Refresh(t.Context(), none); return err },
	} {
		if !w.Issuer.Traits().Content || what == "whose" || what == "refresh" {
			is(t, what, ask(), daypass.ErrSpent)
		}
	}
	if live, err := w.Issuer.Live(t.Context(), none); live || err != nil {
		t.Errorf("alive: %v, %v", live, err)
	}
	if err := w.Issuer.Revoke(t.Context(), none); err != nil {
		t.Errorf("revoke: %v", err)
	}
}

// noRepositories: an issuer of content says no to what is about repositories, and does
// not ask.
func noRepositories(t *testing.T, w *world) {
	g := w.connect(t)
	before := w.Living()
	mend := w.Break(Hang, 0)
	defer mend()
	for what, ask := range map[string]func() error{
		"right": func() error { _, err := w.Issuer.RightTo(t.Context(), g.Access, w.Write); return err },
		"reach": func() error { _, _, err := w.Issuer.Reach(t.Context(), g.Access, 10); return err },
		"narrow": func() error {
			_, err := w.Issuer.Narrow(t.Context(), g.Access, w.scope(daypass.Read, w.Write))
			return err
		},
		"issue":  func() error { _, err := w.Issuer.IssueAsHub(t.Context(), w.scope(daypass.Read, w.Content)); return err },
		"look":   func() error { _, err := w.Issuer.LookAsHub(t.Context(), w.Content); return err },
		"theirs": func() error { _, err := w.Issuer.RightAsHub(t.Context(), w.Content, w.Teacher); return err },
	} {
		is(t, what, ask(), daypass.ErrRefused)
	}
	if n := w.Living(); n != before {
		t.Errorf("%d tokens are alive, %d before", n, before)
	}
}

// atOnce: many callers at once get each their own.
func atOnce(t *testing.T, w *world) {
	g := w.connect(t)
	children := make([]daypass.Child, w.Issuer.Traits().MaxChildren)
	var group sync.WaitGroup
	for n := range children {
		group.Go(func() {
			c, err := w.Issuer.Narrow(t.Context(), g.Access, w.scope(daypass.Read, w.Write))
			if err != nil {
				t.Errorf("narrow: %v", err)
			}
			children[n] = c
			if _, err := w.Issuer.Whose(t.Context(), g.Access); err != nil {
				t.Errorf("whose: %v", err)
			}
			if _, err := w.Issuer.LookAsHub(t.Context(), w.Content); w.Issuer.Traits().AsHub && err != nil {
				t.Errorf("look: %v", err)
			}
		})
	}
	group.Wait()
	for n, c := range children {
		if w.Can(c.Token, w.Write) != daypass.Read {
			t.Errorf("child %d of %d does not work", n+1, len(children))
		}
	}
}
