package broker_test

import (
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
)

// after "disconnect" the whole token of the bridge is handed out.
func TestDisconnectLeavesBridge(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Bridges = []broker.Bridge{{Host: host, App: fake.CampusOAuthApp, AcceptUnnarrowed: true}}
	})
	jo := r.user("jo")
	access, _, err := r.gh.Issue(fake.CampusOAuthApp, fake.CampusUser, 0, "repo")
	if err != nil {
		t.Fatal(err)
	}
	err = r.HandIn(t.Context(), broker.HandIn{User: "jo", Host: host, App: fake.CampusOAuthApp, Account: daypass.Account{ID: 1001, Login: fake.CampusUser},
		Grant: daypass.Grant{Access: daypass.NewSecret(access), Until: daypass.Forever}})
	if err != nil {
		t.Fatal(err)
	}
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	if _, err := r.Disconnect(t.Context(), jo, host, ""); err != nil {
		t.Fatal(err)
	}
	if a, err := r.ask(jo, data); err == nil {
		t.Errorf("disconnected, and a token of kind %s is given", a.Credential.Token.Reveal()[:4])
	}
}

// the hub's login is by an App that is neither the push App nor a bridge.
func TestHandInOtherApp(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	access, refresh, err := r.gh.Issue(fake.CampusApp, fake.CampusUser, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = r.HandIn(t.Context(), broker.HandIn{User: "jo", Host: host, App: fake.CampusApp, Account: daypass.Account{ID: 1001, Login: fake.CampusUser},
		Grant: daypass.Grant{Access: daypass.NewSecret(access), Refresh: daypass.NewSecret(refresh), Until: r.now().Add(8 * time.Hour), Renew: daypass.Forever}})
	t.Logf("hand-in: %v", err)
	if _, err := r.ask(jo, data); err != nil {
		t.Errorf("a token of another App took the place of a good connection: %v", err)
	}
}

// a login that is handed in for somebody who was cut off.
func TestHandInOfCutOff(t *testing.T) {
	r := newRig(t)
	r.must2(r.user("jo"))
	if _, err := r.RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	access, refresh, _ := r.gh.Issue(fake.CampusPushApp, fake.CampusUser, 0)
	err := r.HandIn(t.Context(), broker.HandIn{User: "jo", Host: host, App: fake.CampusPushApp, Account: daypass.Account{ID: 1001, Login: fake.CampusUser},
		Grant: daypass.Grant{Access: daypass.NewSecret(access), Refresh: daypass.NewSecret(refresh), Until: r.now().Add(8 * time.Hour), Renew: daypass.Forever}})
	if err == nil {
		t.Fatal("kept")
	}
	if _, live := r.gh.Token(access); live {
		t.Errorf("refused (%s), and the token is alive: the hub has stripped it, nobody will end it", code(err))
	}
}

// a log-in at the hub takes the place of another account, chosen in a browser.
func TestHandInOtherAccount(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	access, refresh, err := r.gh.Issue(fake.CampusPushApp, fake.CampusOther, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = r.HandIn(t.Context(), broker.HandIn{User: "jo", Host: host, App: fake.CampusPushApp, Account: daypass.Account{ID: 1002, Login: fake.CampusOther},
		Grant: daypass.Grant{Access: daypass.NewSecret(access), Refresh: daypass.NewSecret(refresh), Until: r.now().Add(8 * time.Hour), Renew: daypass.Forever}})
	if a := r.must(jo, data); a.Account.Login != fake.CampusUser {
		t.Errorf("(%v) whoever has the hook token, or the hub's login, made jo push as %s without a click", err, a.Account.Login)
	}
}

func (r *rig) must2(c daypass.Caller) { _, _ = r.ask(c, notes) }
