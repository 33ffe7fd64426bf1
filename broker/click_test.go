package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
)

// TestWriteClick: where the admins ask for it, a server writes only after a click
// of its person's, for so long, and no token of theirs clicks.
func TestWriteClick(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Limits.WriteClick = 12 * time.Hour })
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	_, err := r.ask(jo, data)
	var ref *broker.Refusal
	if code(err) != "DP-850" || !errors.As(err, &ref) || !ref.Approve || ref.Rule != "built-in:write-click" {
		t.Fatalf("before the click: %v", err)
	}
	if a := r.must(jo, handbook); a.Credential.Scope.Access != daypass.Read {
		t.Errorf("where they only read: %+v", a)
	}
	made := jo // a token that an admin made for them
	made.Via, made.Server = daypass.ViaUser, daypass.Server{}
	if a, err := r.Credential(t.Context(), made, broker.Ask{Host: host, Repo: data, Access: daypass.Read}); err != nil || a.Credential.Scope.Access != daypass.Read {
		t.Errorf("it may read: %v", err)
	}
	if _, err := r.ask(made, data); code(err) != "DP-850" {
		t.Errorf("it writes: %v", err)
	}
	for _, c := range []daypass.Caller{jo, made} {
		if err := r.AllowWrites(t.Context(), c, jo.Server, ""); code(err) != "DP-826" {
			t.Errorf("a token clicked: %v", err)
		}
	}
	if err := r.AllowWrites(t.Context(), browser(jo), jo.Server, ""); err != nil {
		t.Fatal(err)
	}
	if a := r.must(jo, data); a.Credential.Scope.Access != daypass.Write {
		t.Errorf("after the click: %+v", a)
	}
	odd := jo
	odd.Server.Name = "default"
	if _, err := r.ask(odd, data); code(err) != "DP-850" {
		t.Errorf("a server that is named like the default one: %v", err)
	}
	if _, err := r.ask(made, data); code(err) != "DP-850" {
		t.Errorf("the admin's token by the server's click: %v", err)
	}
	r.later(12*time.Hour + time.Minute)
	if _, err := r.ask(jo, data); code(err) != "DP-850" {
		t.Errorf("a day later: %v", err)
	}
}
