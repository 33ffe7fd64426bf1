package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

const askData = "protocol=https\nhost=" + benchHost + "\npath=river-lab/data.git\n\n"

func (b *bench) credential(op, request string) string {
	b.stdin = strings.NewReader(request)
	b.do("credential", op)
	return b.out.String()
}

// answered reports whether git got a token that the host takes.
func (b *bench) answered(t *testing.T, answer string) bool {
	t.Helper()
	for line := range strings.Lines(answer) {
		if token, ok := strings.CutPrefix(strings.TrimSpace(line), "password="); ok {
			_, live := b.github.Token(token)
			if !live {
				t.Errorf("a dead token was answered")
			}
			return true
		}
	}
	return false
}

func renewing(t *testing.T, d string, sw fake.Switches) *bench {
	t.Helper()
	b := newBench(t, sw)
	if code := b.do("login", "--no-setup", "--renew", d); code != 0 {
		t.Fatalf("login ended with %d: %s", code, b.said())
	}
	return b
}

// TestRenewal: for as long as was agreed, one login lasts; at the end both
// tokens are ended at the host.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := renewing(t, "3d", fake.Switches{})
		for hours := 0; hours < 71; hours += 5 {
			if !b.answered(t, b.credential("get", askData)) {
				t.Fatalf("nothing after %d hours: %s", hours, b.said())
			}
			time.Sleep(5 * time.Hour)
		}
		time.Sleep(2 * time.Hour) // 77 hours: over
		if b.answered(t, b.credential("get", askData)) {
			t.Error("an answer after the agreed end")
		}
		if !strings.Contains(b.err.String(), "ended at") || !strings.Contains(b.out.String(), "quit=1") {
			t.Errorf("said %q", b.said())
		}
		if n, m := len(b.github.LiveTokens()), len(b.github.LiveRefreshTokens()); n+m > 0 {
			t.Errorf("%d access and %d refresh tokens are alive after the end", n, m)
		}
	})
}

// TestRenewalFaults: every request of a renewal fails once. The next try works,
// or says that a login is needed; nothing dead is answered, nothing is lost but
// in the one window that no client can close.
func TestRenewalFaults(t *testing.T) {
	for _, f := range faults() {
		for n := 1; n <= 6; n++ {
			t.Run(f.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := renewing(t, "2d", fake.Switches{})
					time.Sleep(8*time.Hour - 30*time.Second)
					f.Times = 1
					b.github.FailNth(n, nil, f.Fault)
					b.answered(t, b.credential("get", askData))
					if tokenIn(b.err.String()) {
						t.Errorf("a token is shown: %s", b.err.String())
					}
					b.github.ClearFaults()
					time.Sleep(time.Minute)
					if !b.answered(t, b.credential("get", askData)) && !(n == 1 && f.losesAnswer()) {
						t.Errorf("fault at request %d: the next try has nothing: %s", n, b.said())
					}
				})
			})
		}
	}
}

// losesAnswer: the host spent the refresh token and its answer never came.
func (f namedFault) losesAnswer() bool {
	return f.Kind == fake.FaultLost || f.cutsTokens()
}

// TestRenewalChecksScope: what comes back is looked at before it is used.
func TestRenewalChecksScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := renewing(t, "2d", fake.Switches{})
		b.github.Update(func(s *fake.Seed) {
			for i := range s.Apps {
				if s.Apps[i].ClientID == fake.CampusApp {
					s.Apps[i].NeverExpire = true
				}
			}
		})
		time.Sleep(8*time.Hour - 30*time.Second)
		if b.answered(t, b.credential("get", askData)) {
			t.Error("a token that never ends was answered")
		}
		if !strings.Contains(b.err.String(), "[DP-220]") {
			t.Errorf("said %q", b.said())
		}
		if n := len(b.github.LiveTokens()); n > 0 {
			t.Errorf("%d tokens are alive", n)
		}
	})
}

// TestEraseKeepsRenewal: a token that the host refuses is dropped and renewed;
// another token's failure changes nothing.
func TestEraseKeepsRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := renewing(t, "2d", fake.Switches{})
		answer := b.credential("get", askData)
		first := b.github.Count("/login/oauth/access_token")
		b.credential("erase", strings.TrimSuffix(askData, "\n")+"username=x\npassword=ghu_somebodyelses0000000000000000000000\n\n")
		if !b.answered(t, b.credential("get", askData)) || b.github.Count("/login/oauth/access_token") != first {
			t.Error("a stranger's erase changed something")
		}
		b.credential("erase", strings.TrimSuffix(askData, "\n")+answer+"\n")
		if !b.answered(t, b.credential("get", askData)) || b.github.Count("/login/oauth/access_token") != first+1 {
			t.Errorf("no renewal after the token was refused: %s", b.said())
		}
	})
}

// TestRefreshTied: where revoking the refresh token ends the access token, the
// first login finds out and asks once more; the next knows.
func TestRefreshTied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.Switches{RevokeTiesPair: true})
		if code := b.do("login", "--no-setup"); code != 0 || !strings.Contains(b.said(), "one more code") {
			t.Fatalf("ended with %d: %s", code, b.said())
		}
		if !b.answered(t, b.credential("get", askData)) {
			t.Errorf("no answer: %s", b.said())
		}
		codes := b.github.Count("/login/device/code")
		if code := b.do("login", "--no-setup"); code != 0 || b.github.Count("/login/device/code") != codes+1 {
			t.Errorf("the second login ended with %d, after %d codes: %s", code, b.github.Count("/login/device/code")-codes, b.said())
		}
	})
}
