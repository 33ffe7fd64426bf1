package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/policy"
)

// TestServerKind: where the hub does not say, a server writes nothing.
func TestServerKind(t *testing.T) {
	own := daypass.Caller{User: daypass.User{Name: "owner"}, Via: daypass.ViaServer}
	open, person := own, own
	open.Server = daypass.Server{Known: true, Name: "open"}
	person.Via = daypass.ViaUser
	const (
		none, some = `{"items": []}`, `{"items": [{"user": {"name": "guest"}}]}`
		plain      = `{"name": "owner", "kind": "user", "servers": {"": {"user_options": {}}, "open": {"user_options": {}}}}`
		dashboard  = `{"name": "owner", "kind": "user", "servers": {"open": {"user_options": {"profile": "dashboard"}}}}`
		blind      = `{"name": "owner", "kind": "user"}`
	)
	options := serversConfig{DashboardOptions: map[string]string{"profile": "dashboard"}}
	ignore := options
	ignore.IgnoreShares = true
	for name, c := range map[string]struct {
		who            daypass.Caller
		version        string
		person, shares string // the hub's answers; "" is 403, "-" 404
		config         serversConfig
		want           policy.ServerKind
	}{
		"nobody enters it":                       {open, "6.1.1", plain, none, serversConfig{}, policy.Own},
		"somebody enters it":                     {open, "6.1.1", plain, some, serversConfig{}, policy.Shared},
		"somebody does, which is ignored":        {open, "6.1.1", plain, some, serversConfig{IgnoreShares: true}, policy.Own},
		"no read:shares":                         {open, "6.1.1", plain, "", serversConfig{}, policy.Shared},
		"no read:shares for this one":            {open, "6.1.1", plain, "-", serversConfig{}, policy.Shared},
		"no read:shares, a hub that says no age": {open, "", plain, "", serversConfig{}, policy.Shared},
		"a hub without shares":                   {open, "4.1.6", plain, "-", serversConfig{}, policy.Own},
		"no read:users and no read:shares":       {open, "6.1.1", "", "", options, policy.NoKind},
		"no read:servers":                        {open, "6.1.1", blind, none, options, policy.NoKind},
		"no read:servers, shares ignored":        {open, "6.1.1", blind, none, ignore, policy.NoKind},
		"no such person":                         {open, "6.1.1", "-", none, options, policy.NoKind},
		"started as a dashboard":                 {open, "6.1.1", dashboard, some, options, policy.Dashboard},
		"started otherwise":                      {open, "4.1.6", plain, "-", options, policy.Own},
		"one of many":                            {own, "6.1.1", plain, none, serversConfig{}, policy.Shared},
		"one of many, names are given":           {own, "6.1.1", plain, none, serversConfig{Dashboard: []string{"viz-*"}, IgnoreShares: true}, policy.Shared},
		"one of many, options are":               {own, "3.0.0", plain, "-", options, policy.Shared},
		"one of many, shares are ignored":        {own, "6.1.1", plain, none, serversConfig{IgnoreShares: true}, policy.Own},
		"all of them, at an old hub":             {own, "3.0.0", plain, "-", serversConfig{}, policy.Own},
		"all of them, at an old hub with names":  {own, "3.0.0", plain, "-", serversConfig{Shared: []string{"open"}}, policy.Shared},
		"all of them, at a hub that is silent":   {own, "", plain, "-", serversConfig{}, policy.Shared},
		"a token of the person's own":            {person, "6.1.1", plain, some, options, policy.Own},
	} {
		t.Run(name, func(t *testing.T) {
			ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.version != "" {
					w.Header().Set("X-JupyterHub-Version", c.version)
				}
				body := c.person
				if strings.Contains(r.URL.Path, "/shares/") {
					body = c.shares
				}
				switch body {
				case "":
					w.WriteHeader(http.StatusForbidden)
				case "-":
					w.WriteHeader(http.StatusNotFound)
				default:
					w.Write([]byte(body))
				}
			}))
			defer ts.Close()
			client := hub.New(hub.Config{ID: "hub", API: ts.URL, Public: ts.URL, Service: "daypass", Token: daypass.NewSecret("x")})
			_, _ = client.Person(t.Context(), "owner") // as the look at the token does, before
			svc := &service{config: &serverConfig{Servers: c.config}, hub: client}
			if kind := svc.serverKind(context.Background(), c.who); kind != c.want {
				t.Errorf("%v, want %v", kind, c.want)
			}
		})
	}
}

// TestSharingCheck: an admin sees why every server only reads.
func TestSharingCheck(t *testing.T) {
	for _, c := range []struct {
		version int
		more    string
		scopes  []string
		red     bool
	}{
		{version: 6, red: true},
		{version: 6, more: "servers: {ignore_shares: true}"},
		{version: 6, scopes: []string{"read:shares"}},
		{version: 4},
	} {
		o := newOffice(t, c.more)
		other := httptest.NewServer(fake.NewHub(fake.HubConfig{
			Version:  c.version,
			Services: []fake.HubService{{Name: "daypass", Token: officeToken, Scopes: append([]string{"list:users", "read:users", "read:servers"}, c.scopes...)}},
		}))
		defer other.Close()
		o.edit("api: ", "api: "+other.URL+"/hub/api #")
		_, said := o.admin("check")
		red := strings.Contains(said, "RED    sharing") && strings.Contains(said, "Add read:shares")
		if red != c.red || strings.Contains(said, "RED    hub") {
			t.Errorf("%+v: red %v", c, red)
		}
	}
}
