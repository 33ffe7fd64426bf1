package fake

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What a hub does for its clients is held to real ones in internal/hubtest; here
// is what that cannot ask of a real one.

func hubBench(t *testing.T, c HubConfig) (*Hub, *http.Client, string) {
	t.Helper()
	c.Services = []HubService{
		{Name: "daypass", Token: "the-service", Redirect: "/services/daypass/oauth_callback", Scopes: []string{"read:users"}, Confirm: true},
	}
	c.ServerScopes = []string{"access:services!service=daypass", "custom:daypass:mint!server"}
	h := NewHub(c)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return h, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, s.URL
}

func hubAsk(t *testing.T, cl *http.Client, method, address, token string, form url.Values) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		req.Header.Set("Authorization", "token "+token)
	}
	res, err := cl.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func TestHubFaults(t *testing.T) {
	h, cl, at := hubBench(t, HubConfig{})
	token := h.StartServer("ann", "gpu")
	stop := h.Fault(PathIs("/hub/api/user"), Fault{Kind: FaultStatus, Status: 503})
	if status, _, _ := hubAsk(t, cl, "GET", at+"/hub/api/user", token, nil); status != 503 {
		t.Errorf("= %d", status)
	}
	stop()
	status, body, _ := hubAsk(t, cl, "GET", at+"/hub/api/user", token, nil)
	if status != 200 || !strings.Contains(body, `"custom:daypass:mint!server=ann/gpu"`) || h.Count("/hub/api/user") != 2 {
		t.Errorf("= %d %s", status, body)
	}
	h.StopServer("ann", "gpu")
	if status, _, _ = hubAsk(t, cl, "GET", at+"/hub/api/user", token, nil); status != 403 {
		t.Errorf("after its end = %d", status)
	}
	if status, _, _ = hubAsk(t, cl, "GET", at+"/hub/api/user?token="+h.StartServer("ann", ""), "", nil); status != 403 {
		t.Errorf("in the address = %d", status)
	}
}

func TestHubSignIn(t *testing.T) {
	h, cl, at := hubBench(t, HubConfig{})
	form := url.Values{"username": {"ann"}}
	if status, _, _ := hubAsk(t, cl, "POST", at+"/hub/login", "", form); status != 403 {
		t.Errorf("a forged log-in = %d", status)
	}
	_, page, _ := hubAsk(t, cl, "GET", at+"/hub/login", "", nil)
	_, rest, _ := strings.Cut(page, `name="_xsrf" value="`)
	form.Set("_xsrf", rest[:32])
	if status, _, _ := hubAsk(t, cl, "POST", at+"/hub/login", "", form); status != 302 {
		t.Fatalf("log-in = %d", status)
	}
	ask := at + "/hub/api/oauth2/authorize?client_id=service-daypass&response_type=code&redirect_uri=%2Fservices%2Fdaypass%2Foauth_callback"
	if status, page, _ := hubAsk(t, cl, "GET", ask, "", nil); status != 200 || !strings.Contains(page, "Authorize") {
		t.Errorf("the question = %d", status)
	}
	code := func() string {
		_, _, header := hubAsk(t, cl, "POST", ask, "", form)
		u, err := url.Parse(header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("code")
	}
	swap := func(code string) int {
		status, _, _ := hubAsk(t, cl, "POST", at+"/hub/api/oauth2/token", "", url.Values{
			"client_id": {"service-daypass"}, "client_secret": {"the-service"}, "grant_type": {"authorization_code"}, "code": {code},
			"redirect_uri": {"/services/daypass/oauth_callback"},
		})
		return status
	}
	if got := swap(code()); got != 200 {
		t.Errorf("= %d", got)
	}
	late := code()
	h.Advance(hubCodeLife + time.Second)
	if got := swap(late); got != 400 {
		t.Errorf("a late code = %d", got)
	}
}
