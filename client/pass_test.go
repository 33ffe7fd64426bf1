package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
)

func madePass(change func(*api.PassReply)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		until := time.Now().Add(time.Hour)
		out := api.PassReply{Pass: daypass.NewSecret("daypass_AgEabc"), ID: "k3q7m2wz5t8v4x9n", Until: &until, Limits: []string{"dp:access=read"}, Event: "K3QF-1"}
		if change != nil {
			change(&out)
		}
		b, _ := out.Encode()
		w.Write(b)
	}
}

func TestMintPassIsLookedAt(t *testing.T) {
	good := api.PassRequest{Label: "job", For: 3600, Limits: api.PassLimits{Repos: []string{"o/r"}}}
	got, err := newClient(t, serve(t, madePass(nil))).MintPass(t.Context(), good)
	if err != nil || got.Pass.Reveal() != "daypass_AgEabc" || got.ID == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	past := time.Now().Add(-time.Minute)
	for name, change := range map[string]func(*api.PassReply){
		"no pass":     func(r *api.PassReply) { r.Pass = daypass.Secret{} },
		"two lines":   func(r *api.PassReply) { r.Pass = daypass.NewSecret("daypass_a\nb") },
		"too long":    func(r *api.PassReply) { r.Pass = daypass.NewSecret(strings.Repeat("a", api.MaxPassText+1)) },
		"ended":       func(r *api.PassReply) { r.Until = &past },
		"an odd id":   func(r *api.PassReply) { r.ID = "a b" },
		"no id":       func(r *api.PassReply) { r.ID = "" },
		"a coloured ": func(r *api.PassReply) { r.ID = "\x1b[31m" },
	} {
		var p *daypass.Problem
		if _, err := newClient(t, serve(t, madePass(change))).MintPass(t.Context(), good); !errors.As(err, &p) || p.Code != "DP-853" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMistakesAreNotSent: an empty list would be left out on the way, and so be no
// limit at all.
func TestMistakesAreNotSent(t *testing.T) {
	var asked atomic.Int32
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); madePass(nil)(w, r) }))
	bad := api.PassLimits{Repos: []string{}}
	var p *daypass.Problem
	if _, err := c.MintPass(t.Context(), api.PassRequest{Limits: bad}); !errors.As(err, &p) || p.Code != "DP-863" || !errors.Is(err, daypass.ErrUsage) {
		t.Errorf("%v", err)
	}
	if _, err := c.AskDevice(t.Context(), api.DeviceRequest{Limits: bad}); !errors.As(err, &p) || p.Code != "DP-863" {
		t.Errorf("%v", err)
	}
	if asked.Load() != 0 {
		t.Error("a request that would be read in another way was sent")
	}
}

// TestOddToken: a token that no header can hold is said to be one, and not the
// service to be down.
func TestOddToken(t *testing.T) {
	for _, odd := range []string{"daypass_a\nsaved to job.pass", "two words", "a\x00", strings.Repeat("x", api.MaxPassText+1), "\u00e9"} {
		c, err := client.New(client.Config{URL: "http://127.0.0.1:1/", Token: daypass.NewSecret(odd), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		var p *daypass.Problem
		if _, err := c.Me(t.Context()); !errors.As(err, &p) || p.Code != "DP-864" || strings.Contains(err.Error(), "saved") {
			t.Errorf("%.20q: %v", odd, err)
		}
	}
}

// TestTokenStaysWhereItIsNotNeeded: what anybody may ask is asked without a token.
func TestTokenStaysWhereItIsNotNeeded(t *testing.T) {
	var heads, bodies []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		heads, bodies = append(heads, r.Header.Get("Authorization")), append(bodies, string(b))
		switch {
		case strings.HasSuffix(r.URL.Path, "/end"):
			io.WriteString(w, `{"event":"K3QF-2"}`)
		case strings.HasSuffix(r.URL.Path, "/device"):
			fmt.Fprint(w, `{"device_code":"dddd","user_code":"WDJB-MJHT","verification_uri":"https://d.example/device","verification_uri_complete":"https://d.example/device?user_code=WDJB-MJHT","expires_in":900,"interval":1}`)
		default:
			madePass(nil)(w, r)
		}
	})
	c := newClient(t, url)
	if done, err := c.EndShownPass(t.Context(), daypass.NewSecret("daypass_AgEabc")); err != nil || done.Event != "K3QF-2" {
		t.Errorf("%+v %v", done, err)
	}
	codes, err := c.AskDevice(t.Context(), api.DeviceRequest{Label: "login1"})
	if err != nil || codes.User != "WDJB-MJHT" || codes.Device.Reveal() != "dddd" {
		t.Fatalf("%+v %v", codes, err)
	}
	if _, err := c.TakeDevice(t.Context(), codes); err != nil {
		t.Fatal(err)
	}
	for i, h := range heads {
		if h != "" || strings.Contains(bodies[i], token) {
			t.Errorf("request %d carries the token", i)
		}
	}
	if len(bodies) != 3 || !strings.Contains(bodies[0], `"pass":"daypass_AgEabc"`) || !strings.Contains(bodies[2], `"device_code":"dddd"`) {
		t.Errorf("sent %q", bodies)
	}
	nobody, err := client.New(client.Config{URL: url, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.AskDevice(t.Context(), api.DeviceRequest{}); err != nil {
		t.Errorf("without a token: %v", err)
	}
}

// TestPassByPlainHTTP: a pass leaves a machine by https only, and follows nobody.
func TestPassByPlainHTTP(t *testing.T) {
	pass := daypass.NewSecret("daypass_AgEabc")
	if _, err := client.New(client.Config{URL: "http://daypass.example.org/", Token: pass, Now: time.Now}); err == nil {
		t.Error("a pass would go by plain http")
	}
	if client.Usable("http://daypass.example.org/", client.Admin{}) == nil {
		t.Error("a pass may go by plain http")
	}
	var leaked atomic.Bool
	thief := serve(t, func(w http.ResponseWriter, r *http.Request) { leaked.Store(true) })
	c, err := client.New(client.Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief+r.URL.Path, http.StatusTemporaryRedirect)
	}), Token: pass, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func() error{
		"me":         func() error { _, err := c.Me(t.Context()); return err },
		"credential": func() error { _, err := c.Credential(t.Context(), ask); return err },
		"end shown":  func() error { _, err := c.EndShownPass(t.Context(), pass); return err },
		"take device": func() error {
			_, err := c.TakeDevice(t.Context(), api.DeviceCodes{Device: pass, Expires: 5, Interval: 1})
			return err
		},
	} {
		if err := ask(); err == nil {
			t.Errorf("%s: a redirect was a success", name)
		}
	}
	if leaked.Load() {
		t.Error("the pass followed a redirect")
	}
}

func TestAskDeviceIsLookedAt(t *testing.T) {
	const good = `{"device_code":"dddd","user_code":"WDJB-MJHT","verification_uri":"https://d.example/device","verification_uri_complete":"https://d.example/device?user_code=WDJB-MJHT","expires_in":900,"interval":5}`
	for name, change := range map[string][2]string{
		"a script": {"https://d.example/device?", "javascript:alert(1)//"}, "a user": {`"https://d.example/device"`, `"https://d.example@evil.example/device"`},
		"control bytes": {"WDJB-MJHT", "WDJB\\u001b[31m"}, "no end": {"900", "0"}, "no code": {"dddd", ""}, "a long code": {"WDJB-MJHT", strings.Repeat("W", 40)},
		"a line break": {"https://d.example/device?", "https://d.example/\\n?"},
	} {
		c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.ReplaceAll(good, change[0], change[1]))
		}))
		var p *daypass.Problem
		if _, err := c.AskDevice(t.Context(), api.DeviceRequest{}); !errors.As(err, &p) || p.Code != "DP-853" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTakeDevice goes through what a service answers on the way.
func TestTakeDevice(t *testing.T) {
	says := func(word string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"error":{"code":"DP-894","what":"not yet","error":%q}}`, word)
		}
	}
	down := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502) }
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		want    error
		asked   int32
	}{
		"yes at last": {[]http.HandlerFunc{says("authorization_pending"), down, madePass(nil)}, nil, 3},
		"no":          {[]http.HandlerFunc{says("authorization_pending"), says("access_denied")}, daypass.ErrRefused, 2},
		"too late":    {[]http.HandlerFunc{says("expired_token")}, daypass.ErrNoLogin, 1},
		"none here":   {[]http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }}, daypass.ErrRefused, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			cl := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				c.answers[min(int(n.Add(1))-1, len(c.answers)-1)](w, r)
			}))
			got, err := cl.TakeDevice(t.Context(), api.DeviceCodes{Device: daypass.NewSecret("dddd"), Expires: 60, Interval: 1})
			if !errors.Is(err, c.want) || (c.want == nil) != (got.ID != "") || n.Load() != c.asked {
				t.Errorf("%+v, %v, asked %d times", got, err, n.Load())
			}
		})
	}
}

// TestTakeDeviceSlowsDown: slow_down adds five seconds to every wait from then on,
// and whoever waits can stop.
func TestTakeDeviceSlowsDown(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		w.WriteHeader(400)
		io.WriteString(w, `{"error":{"code":"DP-895","what":"too soon","error":"slow_down"}}`)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := c.TakeDevice(ctx, api.DeviceCodes{Device: daypass.NewSecret("dddd"), Expires: 60, Interval: 1}); !errors.Is(err, context.DeadlineExceeded) || n.Load() != 1 {
		t.Errorf("%v, asked %d times in 4 s", err, n.Load())
	}
}

func TestListAndEndPasses(t *testing.T) {
	var seen []string
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.EscapedPath()+" "+r.Header.Get("Authorization"))
		if r.Method == "DELETE" {
			io.WriteString(w, `{"event":"K3QF-3"}`)
			return
		}
		io.WriteString(w, `{"passes":[{"id":"a","label":"x","created":"2026-11-22T15:00:00Z","uses":3,"via":"browser","limits":[],"more":1}]}`)
	}))
	list, err := c.Passes(t.Context())
	if err != nil || len(list) != 1 || list[0].Uses != 3 || list[0].Until != nil {
		t.Errorf("%+v %v", list, err)
	}
	if done, err := c.EndPass(t.Context(), "a/../b"); err != nil || done.Event != "K3QF-3" {
		t.Errorf("%+v %v", done, err)
	}
	if want := "DELETE /api/v1/passes/a%2F..%2Fb Bearer " + token; seen[1] != want {
		t.Errorf("asked %q, want %q", seen[1], want)
	}
}
