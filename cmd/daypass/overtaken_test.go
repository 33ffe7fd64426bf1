package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/gitconf"
)

// meanwhile runs something when an answer for a path is on its way back.
type meanwhile struct {
	next http.RoundTripper
	path string
	do   func()
}

func (m *meanwhile) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := m.next.RoundTrip(r)
	if do := m.do; do != nil && strings.HasSuffix(r.URL.Path, m.path) {
		m.do = nil
		do()
	}
	return res, err
}

// other is another process of the same person on the same machine.
func (b *bench) other() *bench {
	o := &bench{github: b.github, env: b.env}
	a := *b.app
	a.stdout, a.stderr, a.stdin = &o.out, &o.err, strings.NewReader("")
	a.transport = fake.Transport(b.github)
	o.app = &a
	return o
}

// TestRenewalOvertaken: a logout or a login while a renewal is under way counts;
// the renewal puts nothing back and leaves nothing alive.
func TestRenewalOvertaken(t *testing.T) {
	for _, path := range []string{"/access_token", "/user", "/installations"} {
		t.Run("logout"+strings.ReplaceAll(path, "/", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := renewing(t, "2d", fake.Switches{})
				time.Sleep(8*time.Hour - 30*time.Second)
				b.transport = &meanwhile{fake.Transport(b.github), path, func() {
					if code := b.other().do("logout"); code != 0 {
						t.Errorf("logout ended with %d", code)
					}
				}}
				if b.answered(t, b.credential("get", askData)) {
					t.Error("an answer after the logout")
				}
				if n, m := len(b.github.LiveTokens()), len(b.github.LiveRefreshTokens()); n+m > 0 {
					t.Errorf("%d access and %d refresh tokens are alive after the logout", n, m)
				}
				if b.do("status") != 3 {
					t.Errorf("something is kept: %s", b.said())
				}
			})
		})
		t.Run("login"+strings.ReplaceAll(path, "/", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := renewing(t, "2d", fake.Switches{})
				time.Sleep(8*time.Hour - 30*time.Second)
				b.transport = &meanwhile{fake.Transport(b.github), path, func() {
					if o := b.other(); o.do("login", "--no-setup") != 0 {
						t.Errorf("login: %s", o.said())
					}
				}}
				b.credential("get", askData)
				if !b.answered(t, b.credential("get", askData)) {
					t.Errorf("no answer from the new login: %s", b.said())
				}
				if n, m := len(b.github.LiveTokens()), len(b.github.LiveRefreshTokens()); n != 1 || m != 0 {
					t.Errorf("%d access and %d refresh tokens are alive, want the new login's one", n, m)
				}
			})
		})
	}
}

// TestRenewalSlow: the host's answer takes longer than git waits. What it gave is
// kept, and the next request gets it.
func TestRenewalSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := renewing(t, "2d", fake.Switches{})
		time.Sleep(8*time.Hour - 30*time.Second)
		b.transport = &meanwhile{fake.Transport(b.github), "/access_token", func() { time.Sleep(12 * time.Second) }}
		b.credential("get", askData)
		if !b.answered(t, b.credential("get", askData)) {
			t.Errorf("the next request has nothing: %s", b.said())
		}
	})
}

// TestStray401: one wrong answer ends a login, without a conclusion for ever.
func TestStray401(t *testing.T) {
	for _, path := range []string{"/api/v3/user", "/api/v3/user/installations"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, fake.Switches{})
			b.github.Fault(fake.PathIs("/api/v3/user"), fake.Fault{Kind: fake.FaultStatus, Status: 401, Body: `{"message":"Bad credentials"}`, Times: 1})
			if code := b.do("login", "--no-setup"); code != 3 {
				t.Errorf("%s: ended with %d: %s", path, code, b.said())
			}
			if n, m := len(b.github.LiveTokens()), len(b.github.LiveRefreshTokens()); n+m > 0 {
				t.Errorf("%s: %d access and %d refresh tokens are alive", path, n, m)
			}
			if _, err := os.Stat(filepath.Join(b.env["HOME"], ".local", "state", "daypass", "refresh-ends-access")); err == nil {
				t.Errorf("%s: it was concluded that the pair is tied", path)
			}
		})
	}
}

// TestDroppedEnded: a refresh token that was only forgotten is ended after all
// when the login fails.
func TestDroppedEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.Switches{IgnoreRepositoryID: true})
		write(t, b.etcConfig, "hosts:\n  "+benchHost+":\n    refresh_revocation: both\n", 0o644)
		if code := b.do("login", "--no-setup", "--repo", "river-lab/data", "--repo-id", "5001"); code != 4 {
			t.Errorf("ended with %d: %s", code, b.said())
		}
		if n, m := len(b.github.LiveTokens()), len(b.github.LiveRefreshTokens()); n+m > 0 {
			t.Errorf("%d access and %d refresh tokens are alive", n, m)
		}
	})
}

// TestRenewEnds: what was agreed is the end, however long the token would live
// and however late the next run is.
func TestRenewEnds(t *testing.T) {
	for _, c := range []struct {
		renew string
		wait  time.Duration
	}{{"1h", 61 * time.Minute}, {"12h", 37 * time.Hour}, {"12h", 30 * 24 * time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			b := renewing(t, c.renew, fake.Switches{})
			time.Sleep(c.wait)
			if b.answered(t, b.credential("get", askData)) {
				t.Errorf("--renew %s: an answer after %v", c.renew, c.wait)
			}
			if n, m := len(b.github.LiveTokens()), len(b.github.LiveRefreshTokens()); n+m > 0 {
				t.Errorf("--renew %s: %d access and %d refresh tokens are alive after %v", c.renew, n, m, c.wait)
			}
		})
	}
}

// TestStaleNumber: a repository that was deleted and made again is found by the
// login after the one that fails.
func TestStaleNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.Switches{})
		if code := b.do("login", "--no-setup", "--repo", "river-lab/data"); code != 0 {
			t.Fatalf("ended with %d: %s", code, b.said())
		}
		b.do("logout")
		b.github.Update(func(s *fake.Seed) {
			for i := range s.Repos {
				if s.Repos[i].ID == fake.CampusDataRepo {
					s.Repos[i].ID = 9001
				}
			}
			for i := range s.Installations {
				s.Installations[i].Repos = append(s.Installations[i].Repos, 9001)
			}
		})
		if code := b.do("login", "--no-setup", "--repo", "river-lab/data"); code != 4 || !strings.Contains(b.said(), "is forgotten") {
			t.Errorf("with the old number: %d: %s", code, b.said())
		}
		if code := b.do("login", "--no-setup", "--repo", "river-lab/data"); code != 0 {
			t.Errorf("with the new one: %d: %s", code, b.said())
		}
	})
}

// TestCopyUnderPass: a shell that acts for a pass does not hand out the login.
func TestCopyUnderPass(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.env["DAYPASS_TOKEN"] = "narrow"
	if code := b.do("wallet", "copy", "node"); code != 4 || !strings.Contains(b.said(), "DP-106") {
		t.Errorf("ended with %d: %s", code, b.said())
	}
}

// TestEraseAfterEnd: a token that the host refuses after the agreed end takes no
// refresh token with it that would live on.
func TestEraseAfterEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := renewing(t, "3d", fake.Switches{})
		time.Sleep(71 * time.Hour)
		answer := b.credential("get", askData)
		time.Sleep(2 * time.Hour)
		b.credential("erase", strings.TrimSuffix(askData, "\n")+answer+"\n")
		b.do("status")
		if n, m := len(b.github.LiveTokens()), len(b.github.LiveRefreshTokens()); n+m > 0 {
			t.Errorf("%d access and %d refresh tokens are alive", n, m)
		}
	})
}

// TestFromEnvAfterEnd: what waits to be ended is ended before a token from the
// environment takes its place, and where it cannot be, that is what is said.
func TestFromEnvAfterEnd(t *testing.T) {
	for _, reachable := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := renewing(t, "3d", fake.Switches{})
			time.Sleep(80 * time.Hour)
			if !reachable {
				b.github.Fault(fake.PathIs("/api/v3/credentials/revoke"), fake.Fault{Kind: fake.FaultReset})
			}
			b.env["GITHUB_TOKEN"], b.env["GITHUB_NAME"] = "gho_aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "A\u200dB"
			h, err := b.hostNamed(config{}, "https://"+benchHost)
			if err != nil {
				t.Fatal(err)
			}
			err = b.fromEnv(t.Context(), h, false, &gitconf.Request{})
			if reachable && (err != nil || len(b.github.LiveRefreshTokens()) > 0) {
				t.Errorf("%v, %d refresh tokens are alive", err, len(b.github.LiveRefreshTokens()))
			}
			if !reachable && (err == nil || !strings.Contains(err.Error(), "DP-107")) {
				t.Errorf("said %v", err)
			}
		})
	}
}
