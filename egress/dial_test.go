package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

func TestPublic(t *testing.T) {
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
		"240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "fe80::1", "fe80::1%lo", "fec0::1",
		"fc00::1", "fd00:ec2::254", "ff02::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
		"2002:7f00:1::", "2002:a00:1::1", "3fff::1", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "5f00::1", "2606:4700::1%eth0",
	} {
		if allowed(netip.MustParseAddr(a), nil) {
			t.Errorf("%s is taken for a public address", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "198.20.0.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888"} {
		if !allowed(netip.MustParseAddr(a), nil) {
			t.Errorf("%s is not taken for a public address", a)
		}
	}
}

func TestAllowed(t *testing.T) {
	list := []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("fd00:1::/64"), netip.MustParsePrefix("64:ff9b::/96")}
	for a, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.1.2.4": false, "fd00:1::9": true, "fd00:1::9%eth0": false, "fd00:2::9": false, "127.0.0.1": false,
		"64:ff9b::8.8.8.8": true, "64:ff9b::127.0.0.1": false, "64:ff9b::169.254.169.254": false, "64:ff9b::10.1.2.3": true,
	} {
		if got := allowed(netip.MustParseAddr(a), list); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

// hits is a web server that must not be reached, or may.
func hits(t *testing.T, address string) (string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err) // on systems other than Linux 127.0.0.2 has to be added to the loopback device
	}
	var n atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String(), &n
}

var second = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}

// A name that means a harmless address when it is judged and this machine when it is
// dialled: the address that was judged is the one that is dialled.
func TestRebinding(t *testing.T) {
	public, reached := hits(t, "127.0.0.2:0")
	_, port, _ := net.SplitHostPort(public)
	_, inside := hits(t, "127.0.0.1:"+port)
	var asked atomic.Int64
	d := &Dialer{Allow: second, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}}
	client := &http.Client{Transport: d.Transport(), Timeout: 10 * time.Second}
	res, err := client.Get("http://rebind.example:" + port)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if asked.Load() != 1 || reached.Load() != 1 {
		t.Errorf("%d look-ups, %d requests", asked.Load(), reached.Load())
	}
	client.CloseIdleConnections()
	if _, err := client.Get("http://rebind.example:" + port); !errors.Is(err, ErrPrivate) || !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("the second answer of the name: %v", err)
	}
	if inside.Load() != 0 {
		t.Error("this machine was reached")
	}
}

// Of a name with several addresses only those are tried that may be.
func TestMixedAnswers(t *testing.T) {
	public, reached := hits(t, "127.0.0.2:0")
	_, port, _ := net.SplitHostPort(public)
	_, inside := hits(t, "127.0.0.1:"+port)
	d := &Dialer{Allow: second, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.2")}, nil
	}}
	res, err := (&http.Client{Transport: d.Transport()}).Get("http://mixed.example:" + port)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if inside.Load() != 0 || reached.Load() != 1 {
		t.Errorf("%d inside, %d outside", inside.Load(), reached.Load())
	}
}

// The system is asked once more what it is about to connect to.
func TestControl(t *testing.T) {
	address, inside := hits(t, "127.0.0.1:0")
	if _, err := (&Dialer{}).dial(t.Context(), netip.MustParseAddrPort(address)); !errors.Is(err, ErrPrivate) || inside.Load() != 0 {
		t.Errorf("%v", err)
	}
}

func TestRedirects(t *testing.T) {
	public, _ := hits(t, "127.0.0.2:0")
	_, port, _ := net.SplitHostPort(public)
	_, inside := hits(t, "127.0.0.1:"+port)
	client := &http.Client{Transport: (&Dialer{Allow: second}).Transport(), Timeout: 10 * time.Second}
	for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "169.254.169.254", "10.0.0.1", "localhost", "0.0.0.0", "[::]", "2130706433", "0x7f000001", "127.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"} {
		res, err := client.Get("http://" + public + "/?to=http://" + host + ":" + port + "/")
		if err == nil {
			res.Body.Close()
			t.Errorf("a redirect to %s was followed: %s", host, res.Status)
		} else if !errors.Is(err, ErrPrivate) && !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if inside.Load() != 0 {
		t.Error("this machine was reached")
	}
}
