package fake

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What an index does for its clients is held to a real one in internal/devpitest;
// here is what that cannot ask of a real one.
func TestDevpi(t *testing.T) {
	d := NewDevpi(DevpiConfig{Root: "a root"})
	d.AddUser("ann", "a word")
	s := httptest.NewServer(d)
	defer s.Close()
	ask := func(method, path, body, user, password string) (int, string) {
		req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	d.mu.Lock()
	session := d.newSession("ann")
	d.mu.Unlock()
	who := func() bool {
		_, text := ask("GET", "/+api", "", "ann", session)
		return strings.Contains(text, `"ok"`)
	}
	if !who() {
		t.Error("a session is not believed")
	}
	d.Advance(10*time.Hour + time.Second)
	if who() {
		t.Error("a session lasts for more than ten hours")
	}
	if n := d.Count("/+api"); n != 2 {
		t.Errorf("%d requests", n)
	}

	if len(d.Files("ann/dev")) != 0 {
		t.Errorf("%q", d.Files("ann/dev"))
	}
	stop := d.Fault(PathHasPrefix("/ann/"), Fault{Kind: FaultStatus, Status: http.StatusServiceUnavailable})
	if status, _ := ask("GET", "/ann/dev", "", "", ""); status != http.StatusServiceUnavailable {
		t.Errorf("%d", status)
	}
	stop()
	d.RemoveUser("ann")
	if status, _ := ask("GET", "/ann/dev", "", "", ""); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
}
