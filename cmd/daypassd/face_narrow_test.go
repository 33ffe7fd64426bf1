package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
)

// TestNarrowPass: what the page narrows is what was shown, and less.
func TestNarrowPass(t *testing.T) {
	now := time.Unix(1_798_588_800, 0).UTC()
	f := &face{now: func() time.Time { return now }}
	key := pass.NewKey(bytes.Repeat([]byte{7}, 32))
	mint := func(realm pass.Realm, user string, caveats ...string) pass.Pass {
		p, err := pass.Mint(key, pass.Identity{Realm: realm, User: user, ID: "abcdefghjkmnpqrs"}, caveats...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	hub := pass.Realm{Kind: pass.Hub, Name: "hub"}
	old := mint(hub, "", "expires=1798675200", "dp:address=192.0.2.0/24", "dp:repo=river-lab/data,river-lab/maps#1042", "dp:uses=50").Text(pass.Daypass)

	same, err := f.narrowPass(old, api.PassLimits{}, time.Time{})
	if err != nil || !same.Pass.Equal(old) || same.Until == nil || same.Until.Unix() != 1798675200 {
		t.Fatalf("given back: %+v, %v", same, err)
	}
	got, err := f.narrowPass(old, api.PassLimits{Repos: []string{"river-lab/maps", "river-lab/other"}, Access: "read"}, now.Add(time.Hour))
	want := []string{"expires=1798592400", "dp:access=read", "dp:address=192.0.2.0/24", "dp:repo=river-lab/maps#1042", "dp:uses=50"}
	if err != nil || !slices.Equal(got.Limits, want) || got.Until == nil || !got.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("%q until %v, %v", got.Limits, got.Until, err)
	}
	p, err := pass.Parse(got.Pass)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := pass.Parse(old)
	if c := p.Caveats(); !slices.Equal(c[:4], first.Caveats()) || len(c) != 7 {
		t.Errorf("its limits: %q", c)
	}
	opened, err := pass.Verifier{Realm: hub, Keys: func(pass.Identity) (pass.Key, error) { return key, nil }}.Open(p)
	if err != nil || opened.Rights.Access != daypass.Read {
		t.Errorf("whoever made the first does not know it: %v", err)
	}
	if later, err := f.narrowPass(old, api.PassLimits{}, now.Add(1000*time.Hour)); err != nil || later.Until.Unix() != 1798675200 {
		t.Errorf("narrowing has made it last until %v, %v", later.Until, err)
	}

	plugin, err := pass.Mint(key, pass.Identity{Realm: pass.Realm{Kind: pass.Plugin}, User: "jo", ID: "abcdefgh"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text daypass.Secret
		l    api.PassLimits
		want string
	}{
		"no pass":                   {daypass.NewSecret("daypass_canary"), api.PassLimits{}, "no pass that is whole"},
		"cut short":                 {daypass.NewSecret(old.Reveal()[:60]), api.PassLimits{}, "no pass that is whole"},
		"an index's":                {mint(pass.Realm{Kind: pass.Index, Name: "pypi"}, "jo").Text(pass.Daypass), api.PassLimits{}, "of a package index"},
		"a plugin's":                {plugin.Text(pass.Devpi), api.PassLimits{}, "of a package index"},
		"one that ended":            {mint(hub, "", "expires=1798588800").Text(pass.Daypass), api.PassLimits{}, "never be good"},
		"one with an unknown limit": {mint(hub, "", "dp:moon=full").Text(pass.Daypass), api.PassLimits{}, "not understood"},
		"to other repositories":     {old, api.PassLimits{Repos: []string{"river-lab/notes"}}, "none of these repositories"},
		"to what is no repository":  {old, api.PassLimits{Repos: []string{"a b c"}}, "dp:repo"},
		"a pass of too many limits": {mint(hub, "", slices.Repeat([]string{"dp:access=read"}, 64)...).Text(pass.Daypass), api.PassLimits{Access: "read"}, "64"},
	} {
		got, err := f.narrowPass(c.text, c.l, time.Time{})
		if err == nil || !got.Pass.IsZero() || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", name, got.Limits, err)
			continue
		}
		if strings.Contains(err.Error(), "canary") || len(c.text.Reveal()) > 40 && strings.Contains(err.Error(), c.text.Reveal()[20:40]) {
			t.Errorf("%s: the error holds the pass: %v", name, err)
		}
	}
}

// TestHostsOfLimit: whoever asks by a pass is told of the hosts that it is for.
func TestHostsOfLimit(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	c := o.connect(d, "researcher", fake.CampusUser)
	c.Via, c.Server = daypass.ViaBrowser, daypass.Server{}
	m, err := d.broker.MintPass(t.Context(), c, true, broker.PassAsk{For: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	narrowed := func(host string) string {
		p, err := pass.Parse(m.Text)
		if err == nil {
			p, err = p.Narrow("dp:host=" + host)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p.Text(pass.Daypass).Reveal()
	}
	o.serve()
	for token, want := range map[string]bool{m.Text.Reveal(): true, narrowed(o.host()): true, narrowed("ghe.example"): false} {
		req, err := http.NewRequest(http.MethodGet, o.url+"api/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var me api.Me
		err = json.NewDecoder(res.Body).Decode(&me)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || me.User.Name != "researcher" || len(me.Hosts) != 1 || me.Hosts[0].Connected != want {
			t.Errorf("%d %+v %v, want connected: %v", res.StatusCode, me, err, want)
		}
	}
}
