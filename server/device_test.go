package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/api"
)

func TestUserCode(t *testing.T) {
	for in, want := range map[string]string{
		"WDJB-MJHT": "WDJBMJHT", "wdjbmjht": "WDJBMJHT", " wdjb mjht ": "WDJBMJHT", "WDJB\u2011MJHT": "WDJBMJHT", "w-d-j-b-m-j-h-t": "WDJBMJHT",
		"": "", "WDJB-MJH": "", "WDJB-MJHTT": "", "WDJB-MJHA": "", "0DJB-MJHT": "", "WDJB/MJHT": "", "\u0432DJB-MJHT": "", strings.Repeat("-", 60) + "WDJBMJHT": "",
	} {
		got, ok := userCode(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v", in, got, ok)
		}
	}
}

// deviceToken asks once, and returns the status and the word.
func deviceToken(t *testing.T, s http.Handler, address, code string) (int, string) {
	t.Helper()
	res := apiDo(s, "POST", address+"api/v1/device/token", "", fmt.Sprintf(`{"device_code":%q}`, code))
	if res.StatusCode == 200 {
		got, err := api.DecodePassReply([]byte(text(t, res)))
		if err != nil || got.Pass.Reveal() != madeText || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", err)
		}
		return 200, ""
	}
	return res.StatusCode, errorOf(t, res).OAuth
}

// TestDeviceFlow goes the whole way, in both modes: ask, open the link, look, say
// yes, take the pass, once.
func TestDeviceFlow(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		res := apiDo(s, "POST", address+"api/v1/device", "", `{"label":"login on login1","limits":{"repos":["o/r"],"access":"read"},"for":3600}`)
		body := text(t, res)
		codes, err := api.DecodeDeviceCodes([]byte(body))
		if err != nil || codes.User != "BBBB-CCCC" || codes.Page != address+"device" || codes.Complete != address+"device?user_code=BBBB-CCCC" || codes.Expires != 900 || codes.Interval != 5 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		if status, word := deviceToken(t, s, address, "device-new"); status != 400 || word != api.DevicePending {
			t.Errorf("before anybody decided: %d %s", status, word)
		}
		b := newBrowser(t, s, address, shared)
		link := strings.TrimPrefix(codes.Complete, address)
		if res := b.get(link); res.StatusCode != 303 || !strings.Contains(res.Header.Get("Location"), url.QueryEscape(s.path(link))) {
			t.Errorf("who is not signed in: %d %s", res.StatusCode, res.Header.Get("Location"))
		}
		res = b.signIn("browser-ada", s.path(link))
		if to := res.Header.Get("Location"); to != s.path(link) {
			t.Errorf("after the sign-in: to %q", to)
		}
		page := text(t, b.get(link))
		for _, want := range []string{"BBBB-CCCC", "192.0.2.1", "login on login1", "Anybody can say that.", "Go on only if you started this yourself", "Read o/r.", "For 1 hour", "the address that this browser comes from"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if n := len(w.deeds()); n != 1 {
			t.Errorf("looking has done %q", w.deeds())
		}
		form := url.Values{"form": {formOf(t, page, s.path("device"))}, "user_code": {"BBBB-CCCC"}, "decision": {"yes"}}
		if res := b.do("POST", address+"device", form, b.own()); res.StatusCode != 200 || !strings.Contains(text(t, res), "Go back to your terminal") {
			t.Errorf("yes: %d", res.StatusCode)
		}
		if ask := w.asks[0]; ask.For != time.Hour || ask.Label != "login on login1" || !slices.Equal(ask.Limits.Repos, []string{"o/r"}) || ask.Limits.Access != "read" {
			t.Errorf("granted %+v", ask)
		}
		if status, _ := deviceToken(t, s, address, "device-new"); status != 200 {
			t.Errorf("after the yes: %d", status)
		}
		if status, word := deviceToken(t, s, address, "device-new"); status != 400 || word != api.DeviceExpired {
			t.Errorf("for the second time: %d %s", status, word)
		}
		for code, word := range map[string]string{"device-slow": api.DeviceSlow, "device-no": api.DeviceDenied, "device-gone": api.DeviceExpired, "guessed": api.DeviceExpired, "device-odd": api.DeviceExpired} {
			if status, got := deviceToken(t, s, address, code); status != 400 || got != word {
				t.Errorf("%s: %d %s", code, status, got)
			}
		}
		for _, secret := range []string{"device-new", "AgEcanary", "BBBB"} {
			if strings.Contains(w.logged(), secret) {
				t.Errorf("%s is in the log", secret)
			}
		}
	})
}

// TestDeviceDecidedOnce: two tabs, two people, a no, and a code that is too old.
func TestDeviceDecidedOnce(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		ada, bob := newBrowser(t, s, address, shared), newBrowser(t, s, address, shared)
		ada.signIn("browser-ada", "")
		bob.signIn("browser-bob", "")
		decide := func(b *browser, form string, decision string) int {
			return b.do("POST", address+"device", url.Values{"form": {form}, "user_code": {"WDJB-MJHT"}, "decision": {decision}}, b.own()).StatusCode
		}
		form := func(b *browser) string {
			return formOf(t, text(t, b.get("device?user_code=WDJB-MJHT")), s.path("device"))
		}
		one, two, other := form(ada), form(ada), form(bob)
		if got := decide(bob, one, "yes"); got != 403 {
			t.Errorf("ada's form in bob's browser: %d", got)
		}
		for _, odd := range []string{"", "maybe", "YES"} {
			if got := decide(ada, form(ada), odd); got != 400 {
				t.Errorf("the decision %q: %d", odd, got)
			}
		}
		if d := w.deeds(); len(d) != 0 {
			t.Fatalf("done %q", d)
		}
		if got := decide(ada, one, "yes"); got != 200 {
			t.Errorf("the first tab: %d", got)
		}
		if got := decide(ada, two, "no"); got != 404 {
			t.Errorf("the second tab: %d", got)
		}
		if got := decide(bob, other, "yes"); got != 404 {
			t.Errorf("somebody else, later: %d", got)
		}
		if res := bob.get("device?user_code=WDJB-MJHT"); res.StatusCode != 404 || strings.Contains(text(t, res), "login1") {
			t.Errorf("somebody else looks: %d", res.StatusCode)
		}
		if d := w.deeds(); !slices.Equal(d, []string{"decide ada WDJBMJHT yes"}) {
			t.Errorf("done %q", d)
		}
		if ask := w.asks[0]; ask.For != 12*time.Hour || ask.Fresh {
			t.Errorf("a device that asked for 30 days is given %+v", ask)
		}

		w.devices["WDJBMJHT"].decided = ""
		if got := decide(bob, form(bob), "no"); got != 200 || w.devices["WDJBMJHT"].state != DeviceNo {
			t.Errorf("a no: %d %s", got, w.devices["WDJBMJHT"].state)
		}
		w.devices["WDJBMJHT"].decided = ""
		late := form(ada)
		w.pass(15 * time.Minute)
		if got := decide(ada, late, "yes"); got != 404 {
			t.Errorf("too late: %d", got)
		}
	})
}

// TestGuessingCodes: a person has few wrong tries, and an address not many more;
// right ones cost nothing.
func TestGuessingCodes(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Limits.Proxies = prefixes("192.0.2.1/32")
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	browsers := map[string]*browser{}
	for _, who := range []string{"browser-ada", "browser-bob", "browser-mallory"} {
		browsers[who] = newBrowser(t, s, ownURL, false)
		browsers[who].signIn(who, "")
	}
	try := func(who, code, from string) int {
		head := map[string]string{"X-Forwarded-For": from}
		for k, v := range typed {
			head[k] = v
		}
		return browsers[who].do("GET", ownURL+"device?user_code="+code, nil, head).StatusCode
	}
	for range 30 {
		if got := try("browser-ada", "WDJB-MJHT", "10.0.0.1"); got != 200 {
			t.Fatalf("a right code: %d", got)
		}
	}
	w.looked = 0
	got := map[int]int{}
	for i := range 40 {
		got[try("browser-mallory", fmt.Sprintf("BBBB%s", strings.Repeat(string(codeLetters[i%20]), 4)), fmt.Sprint("10.0.1.", i))]++
	}
	if got[404] != 10 || got[429] != 30 || w.looked != 10 {
		t.Errorf("forty guesses of one person from forty addresses: %v, %d looked up", got, w.looked)
	}
	if got := try("browser-mallory", "WDJB-MJHT", "10.0.9.9"); got != 429 {
		t.Errorf("after them, a right one: %d", got)
	}
	post := url.Values{"form": {codeFor(t, s, browsers["browser-mallory"], "device")}, "user_code": {"WDJB-MJHT"}, "decision": {"yes"}}
	if res := browsers["browser-mallory"].do("POST", ownURL+"device", post, browsers["browser-mallory"].own()); res.StatusCode != 429 {
		t.Errorf("after them, a decision: %d", res.StatusCode)
	}
	if got := try("browser-ada", "WDJB-MJHT", "10.0.0.1"); got != 200 {
		t.Errorf("somebody else has to wait: %d", got)
	}
	w.pass(2 * time.Minute)
	if got := try("browser-mallory", "WDJB-MJHT", "10.0.9.9"); got != 200 {
		t.Errorf("after a wait: %d", got)
	}
	// Many people from one address.
	for i := range 8 {
		who := fmt.Sprint("browser-", i)
		id := w.tokens["browser-bob"]
		id.Caller.User.Name = fmt.Sprint("user", i)
		w.tokens[who] = id
		browsers[who] = newBrowser(t, s, ownURL, false)
		browsers[who].signIn(who, "")
	}
	got = map[int]int{}
	for i := range 72 {
		got[try(fmt.Sprint("browser-", i%8), "BBBB-BBBB", "10.7.7.7")]++
	}
	if got[404] != 50 || got[429] != 22 {
		t.Errorf("guesses of eight people from one address: %v", got)
	}
}

// TestDeviceAsks: codes are given out at a strangers' rate, and what is asked is
// bounded.
func TestDeviceAsks(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Limits.OpenIn, c.Limits.Open = 0.001, 5
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]int{}
	for range 9 {
		got[apiDo(s, "POST", ownURL+"api/v1/device", "", `{"limits":{}}`).StatusCode]++
	}
	if got[200] != 5 || got[429] != 4 {
		t.Errorf("nine askings: %v", got)
	}
	s = start(t, newWorld(), ownURL, false)
	for name, body := range map[string]string{
		"a long label": `{"label":"` + strings.Repeat("x", 101) + `","limits":{}}`, "an empty list": `{"limits":{"repos":[]}}`, "never": `{"never":true,"limits":{}}`,
		"for whom": `{"user":"ada","limits":{}}`, "a long code": `{}{}`,
	} {
		if res := apiDo(s, "POST", ownURL+"api/v1/device", "", body); res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	for _, body := range []string{`{}`, `{"device_code":""}`, `{"device_code":"` + strings.Repeat("x", 257) + `"}`, `{"device_code":"x","user_code":"y"}`} {
		if res := apiDo(s, "POST", ownURL+"api/v1/device/token", "", body); res.StatusCode != 400 || errorOf(t, res).OAuth != "" {
			t.Errorf("%.60s: %d", body, res.StatusCode)
		}
	}
}
