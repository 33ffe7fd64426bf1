package github

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A Finding is one thing that was looked at in an App's settings.
type Finding struct {
	OK   bool
	What string // what is so, a sentence
	Next string // how to mend it, a sentence; empty where OK
}

// settings is an App as it shows itself (REST: "Get an app", "Get the
// authenticated app").
type settings struct {
	ID          int64             `json:"id"`
	Slug        string            `json:"slug"`
	ClientID    string            `json:"client_id"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
}

// AppSettings compares the Apps' settings at the host with what is needed: for
// the App that people connect, contents: write and metadata: read; for content,
// contents: read and metadata: read; neither more, and no events. What only a
// token shows, such as whether tokens end, is not in it. The error is for a host
// that could not be asked.
func (i *Issuer) AppSettings(ctx context.Context) ([]Finding, error) {
	out, push, err := i.pushSettings(ctx)
	if err != nil {
		return nil, err
	}
	for _, look := range []func(context.Context) ([]Finding, error){i.secretSettings, i.deviceSettings} {
		more, err := look(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if i.content == nil {
		return append(out, Finding{OK: true, What: "No App for content is set up, so nothing is read as the hub."}), nil
	}
	more, err := i.contentSettings(ctx, push)
	return append(out, more...), err
}

func (i *Issuer) pushSettings(ctx context.Context) ([]Finding, settings, error) {
	var s settings
	if i.push.AppURL == "" {
		return []Finding{{
			What: "The public page of the App to connect is not in the configuration, so its settings cannot be looked at.",
			Next: "Add app_url: the App's \"Public link\".",
		}}, s, nil
	}
	slug := i.push.AppURL[strings.LastIndexByte(i.push.AppURL, '/')+1:]
	if _, ok := daypass.ParseRepo("x/" + slug); !ok {
		return []Finding{{What: "The link to the App to connect does not end in the App's name.", Next: "Copy \"Public link\" from the App's settings."}}, s, nil
	}
	a, err := i.ask(ctx, call{method: http.MethodGet, url: i.host.API + "/apps/" + slug})
	switch {
	case err != nil:
		return nil, s, err
	case a.says(http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden) && !a.limited():
		return []Finding{{
			What: "The App \"" + slug + "\" does not show itself: it is not public, or there is none of that name.",
			Next: "In its settings, under Advanced, make it public: else nobody but its owner can install it.",
		}}, s, nil
	case a.status != http.StatusOK:
		return nil, s, i.refused("to show an App", daypass.Repo{}, a)
	case !a.into(&s) || s.ID <= 0:
		return nil, s, i.unusable("it names no App", nil)
	}
	out := compare("The App to connect", s, i.push.ClientID, map[string]string{"contents": "write", "metadata": "read"})
	return append(out, Finding{OK: true, What: "The App to connect is public: owners can install it."}), s, nil
}

// compare holds an App's settings against what is needed, each way.
func compare(name string, s settings, clientID string, need map[string]string) []Finding {
	var out []Finding
	switch s.ClientID {
	case "": // hosts that do not show it
	case clientID:
		out = append(out, Finding{OK: true, What: name + " has the client id that is in the configuration."})
	default:
		out = append(out, Finding{What: name + " has another client id than the configuration names.", Next: "Copy \"Client ID\" from the settings of the App that app_url names."})
	}
	var more, less []string
	for _, p := range slices.Sorted(maps.Keys(s.Permissions)) {
		if p = plain(p); need[p] == "" || rank(s.Permissions[p]) > rank(need[p]) {
			more = append(more, p+": "+plain(s.Permissions[p]))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(need)) {
		if rank(s.Permissions[p]) < rank(need[p]) {
			less = append(less, p+": "+need[p])
		}
	}
	if len(more) > 0 {
		out = append(out, Finding{
			What: name + " may do more than is needed: " + strings.Join(more, ", ") + ".",
			Next: "Take that away in the App's settings, under \"Permissions & events\".",
		})
	}
	if len(less) > 0 {
		out = append(out, Finding{
			What: name + " may not do what is needed: " + strings.Join(less, ", ") + ".",
			Next: "Add it in the App's settings, under \"Permissions & events\"; each owner who installed it has to accept.",
		})
	}
	if len(more)+len(less) == 0 {
		out = append(out, Finding{OK: true, What: name + " has just the permissions that are needed."})
	}
	if len(s.Events) > 0 {
		return append(out, Finding{What: name + " is sent events, which nothing here reads.", Next: "Switch them off in the App's settings, under \"Permissions & events\"."})
	}
	return append(out, Finding{OK: true, What: name + " is sent no events."})
}

// rank orders permissions; a level that is not known is the most.
func rank(level string) int {
	switch level {
	case "", "none":
		return 0
	case "read":
		return 1
	case "write":
		return 2
	}
	return 3
}

// secretSettings asks with each client secret about a token that there is not:
// only a right secret is told so.
func (i *Issuer) secretSettings(ctx context.Context) ([]Finding, error) {
	var out []Finding
	for n, secret := range i.push.ClientSecrets {
		a, err := i.ask(ctx, call{
			method: http.MethodPost, url: i.host.API + "/applications/" + i.push.ClientID + "/token",
			fields: map[string]any{"access_token": "ghu_0000000000000000000000000000000000aa"},
			as:     func(r *http.Request) { r.SetBasicAuth(i.push.ClientID, secret.Reveal()) },
		})
		name := "Client secret " + strconv.Itoa(n+1)
		switch {
		case err != nil:
			return nil, err
		case a.says(http.StatusNotFound, http.StatusUnprocessableEntity):
			out = append(out, Finding{OK: true, What: name + " is right."})
		case a.says(http.StatusUnauthorized):
			out = append(out, Finding{What: name + " is not taken.", Next: "Remove it from the configuration, or replace it with one from the App's settings."})
		default:
			return nil, i.refused("to look at a client secret", daypass.Repo{}, a)
		}
	}
	return out, nil
}

// deviceSettings asks for a code that nobody will use: it ends by itself.
func (i *Issuer) deviceSettings(ctx context.Context) ([]Finding, error) {
	a, err := i.ask(ctx, call{
		method: http.MethodPost, url: i.host.Web + "/login/device/code", form: true, fields: map[string]any{"client_id": i.push.ClientID},
	})
	if err != nil {
		return nil, err
	}
	var said struct {
		Code  string `json:"device_code"`
		Error string `json:"error"`
	}
	switch ok := a.into(&said); {
	case a.limited():
		return nil, i.slower(a)
	case !ok || a.status >= 500:
		return nil, i.unusable("it is out of order", nil)
	case said.Error == "device_flow_disabled":
		return []Finding{{
			What: "The App to connect does not let people log in with a code, so \"daypass login --device\" does not work.",
			Next: "Tick \"Enable Device Flow\" in the App's settings.",
		}}, nil
	case said.Error != "":
		return []Finding{{
			What: i.host.Title() + " knows no App with the client id " + quote(i.push.ClientID) + ".", Next: "Copy \"Client ID\" from the App's settings.",
		}}, nil
	case said.Code == "":
		return nil, i.unusable("it sent neither a code nor an error", nil)
	}
	return []Finding{{OK: true, What: "The App to connect lets people log in with a code too."}}, nil
}

func (i *Issuer) contentSettings(ctx context.Context, push settings) ([]Finding, error) {
	a, err := i.asContent(ctx, call{method: http.MethodGet, url: i.host.API + "/app"})
	var p *daypass.Problem
	switch {
	case errors.As(err, &p) && p.Code == "DP-847":
		return []Finding{{What: "The content App's private key is not taken.", Next: "Make a new key in the App's settings, and name its file."}}, nil
	case err != nil:
		return nil, err
	case a.status != http.StatusOK:
		return nil, i.refused("to show the content App", daypass.Repo{}, a)
	}
	var s settings
	if !a.into(&s) || s.ID <= 0 {
		return nil, i.unusable("it names no App", nil)
	}
	out := []Finding{{OK: true, What: "The content App's private key is taken."}}
	if s.ID == push.ID || s.ClientID == i.push.ClientID {
		out = append(out, Finding{
			What: "One App is used for pushing and for content.",
			Next: "Make a second App for content: two Apps, never one, since the key reads without anybody's yes.",
		})
	}
	return append(out, compare("The content App", s, i.content.clientID, map[string]string{"contents": "read", "metadata": "read"})...), nil
}
