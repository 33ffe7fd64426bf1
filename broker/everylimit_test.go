package broker_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
)

// everyLimit is what each kind of limit does to each request of the access service
// that takes a pass, written down apart from the code that decides: "yes", or the
// code of the refusal. A row of pass's own table that is not here fails the test.
// The server gpu of jo's runs since begun, jo asks from 192.0.2.7 for river-lab/data
// at host, and NUMBER is that repository's.
var everyLimit = []struct {
	row        string // the name of the row, or the beginning of its text
	caveat     string
	credential string
	me         string
}{
	{"allowed", "allowed=pkg_read,upload", "DP-161", "yes"},
	{"allowed", "allowed=", "DP-161", "yes"},
	{"indexes", "indexes=jo/dev", "DP-161", "yes"},
	{"projects", "projects=data", "DP-161", "yes"},
	{"expires", "expires=LATER", "yes", "yes"},
	{"expires", "expires=never", "yes", "yes"},
	{"expires", "expires=NOW", "DP-163", "DP-163"},
	{"expires", "expires=soon", "DP-164", "DP-164"},
	{"not_before", "not_before=NOW", "yes", "yes"},
	{"not_before", "not_before=LATER", "DP-163", "DP-163"},
	{"not_before", "not_before=-1", "DP-164", "DP-164"},
	{"dp:access", "dp:access=write", "yes", "yes"},
	{"dp:access", "dp:access=read", "read", "yes"},
	{"dp:access", "dp:access=none", "DP-164", "DP-164"},
	{"dp:address", "dp:address=192.0.2.0/24", "yes", "yes"},
	{"dp:address", "dp:address=198.51.100.0/24,2001:db8::/32", "DP-161", "DP-161"},
	{"dp:digest", "dp:digest=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bd822cd15d6c15b0f00a8", "DP-161", "yes"},
	{"dp:host", "dp:host=HOST", "yes", "yes"},
	{"dp:host", "dp:host=ghe.example", "DP-161", "yes"},
	{"dp:repo", "dp:repo=river-lab/data", "yes", "yes"},
	{"dp:repo", "dp:repo=#NUMBER", "yes", "yes"},
	{"dp:repo", "dp:repo=river-lab/data#1", "DP-161", "yes"},
	{"dp:repo", "dp:repo=river-lab/notes", "DP-161", "yes"},
	{"dp:server", "dp:server=gpu@START", "yes", "yes"},
	{"dp:server", "dp:server=gpu@1", "DP-161", "DP-161"},
	{"dp:server", "dp:server=other@", "DP-161", "DP-161"},
	{"dp:source", "dp:source=doi:10.5281/zenodo.1234", "DP-161", "yes"},
	{"dp:uses", "dp:uses=1", "yes", "yes"},
	{"dp:uses", "dp:uses=0", "DP-164", "DP-164"},
	{"[0,", "[0, LATER, NOW]", "yes", "yes"},
	{"[0,", "[0, NOW, 0]", "DP-163", "DP-163"},
	{"[0,", "[0, LATER, LATER]", "DP-163", "DP-163"},
	{"[1,", `[1, ["data"]]`, "DP-161", "yes"},
	{"[2,", `[2, ["00000000-0000-0000-0000-000000000000"]]`, "DP-164", "DP-164"},
	{"[3,", `[3, "00000000-0000-0000-0000-000000000000"]`, "DP-164", "DP-164"},
	{`{"nbf"`, `{"nbf": NOW, "exp": LATER}`, "yes", "yes"},
	{`{"nbf"`, `{"nbf": 0, "exp": NOW}`, "DP-163", "DP-163"},
	{`{"nbf"`, `{"nbf": LATER, "exp": LATER}`, "DP-163", "DP-163"},
	{`{"version": 1, "permissions": {`, `{"version": 1, "permissions": {"projects": ["data"]}}`, "DP-161", "yes"},
	{`{"version": 1, "permissions": "user"}`, `{"version": 1, "permissions": "user"}`, "yes", "yes"},
	{"", "dp:moon=full", "DP-164", "DP-164"},
	{"", "[4, 1]", "DP-164", "DP-164"},
	{"", "moon", "DP-164", "DP-164"},
	{"", "", "DP-164", "DP-164"},
}

// TestEveryLimitAtEveryRequest holds every row of the table of limits, each alone
// and behind one that refuses nothing, to both requests that take a pass.
func TestEveryLimitAtEveryRequest(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.server("jo", "gpu", begun)
	free := func() daypass.Secret { return r.mint(jo, pass.Limits{}).Text } // each has uses of its own
	number := itoa(r.number(jo, data))
	seen := map[string]bool{}
	for _, c := range everyLimit {
		seen[c.row] = true
		t.Run(c.caveat, func(t *testing.T) {
			now := r.now()
			caveat := strings.NewReplacer("NUMBER", number, "HOST", host, "START", itoa(begun.Unix()), "LATER", itoa(now.Add(time.Hour).Unix()), "NOW", itoa(now.Unix())).Replace(c.caveat)
			if c.row != "" {
				row, ok := pass.Describe(caveat)
				if !ok || row.Name != c.row && !strings.HasPrefix(row.Text, c.row) {
					t.Fatalf("%q is of the row %+v", caveat, row)
				}
			}
			for how, text := range map[string]daypass.Secret{"alone": withCaveats(t, free(), caveat), "last": withCaveats(t, free(), "expires=never", caveat), "first": withCaveats(t, free(), caveat, "dp:address=0.0.0.0/0")} {
				who, err := r.PassCaller(t.Context(), text, home)
				if got := verdict(err); got != c.me {
					t.Errorf("%s, whose it is: %s (%v), want %s", how, got, err, c.me)
				}
				// Whoever let it through to the second request has asked the first.
				if err != nil {
					continue
				}
				a, err := r.Credential(t.Context(), who, broker.Ask{Host: host, Repo: data, Access: daypass.Write})
				got := verdict(err)
				if err == nil && a.Credential.Scope.Access == daypass.Read {
					got = "read"
				}
				if got != c.credential {
					t.Errorf("%s, a credential: %s (%v), want %s", how, got, err, c.credential)
				}
				r.later(time.Minute) // one person's pace
			}
			if c.me != "yes" && c.credential != c.me {
				t.Error("what is refused who it is gets a credential, as the table says")
			}
		})
	}
	for _, row := range pass.Caveats() {
		if !slices.ContainsFunc(everyLimit[:], func(c struct{ row, caveat, credential, me string }) bool {
			return c.row != "" && (c.row == row.Name || row.Name == "" && strings.HasPrefix(row.Text, c.row))
		}) {
			t.Errorf("the table says nothing of %s", row.Text)
		}
	}
}

func verdict(err error) string {
	if err == nil {
		return "yes"
	}
	var ref *broker.Refusal
	if !errors.As(err, &ref) {
		return err.Error()
	}
	return code(err)
}

// TestWhoseItIsAsksForNothing: which kinds a question need not meet, by what the
// table above says of a limit that refuses every credential.
func TestWhoseItIsAsksForNothing(t *testing.T) {
	want := []string{"allowed", "dp:access", "dp:digest", "dp:host", "dp:repo", "dp:source", "indexes", "projects"}
	got := map[string]bool{}
	for _, c := range everyLimit {
		if c.credential == "yes" || c.me != "yes" || c.row == "" {
			continue
		}
		row, _ := pass.Describe(c.caveat)
		for name := range strings.SplitSeq(row.Kind.String(), ", ") {
			got[name] = true
		}
	}
	for _, name := range want {
		if !got[name] {
			t.Errorf("%s is not told apart", name)
		}
		delete(got, name)
	}
	if len(got) != 0 {
		t.Errorf("a question also need not meet %v", got)
	}
}

// TestAskingIsNoUse: it counts none, and one that has none left still says whose it
// is, and gets nothing.
func TestAskingIsNoUse(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	text := narrowed(t, r.mint(jo, pass.Limits{}).Text, pass.Limits{Uses: 1})
	for range 3 {
		if _, err := r.PassCaller(t.Context(), text, home); err != nil {
			t.Fatal(err)
		}
	}
	r.mustWith(text, data)
	if c, err := r.PassCaller(t.Context(), text, home); err != nil || c.User.Name != "jo" {
		t.Errorf("%+v, %v", c.User, err)
	}
	r.refusedBy(errOf(r.with(text, data)), "DP-162", "the second", text)
}

// TestUnknownIsNotWaived: what a question could say and does not is refused as
// everywhere.
func TestUnknownIsNotWaived(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	free := r.mint(jo, pass.Limits{}).Text
	text := withCaveats(t, free, "dp:address=0.0.0.0/0,::/0")
	r.refusedBy(errOf(r.PassCaller(t.Context(), text, netip.Addr{})), "DP-161", "from nobody knows where", text)
	text = withCaveats(t, free, "dp:server=@")
	if _, err := r.PassCaller(t.Context(), text, home); err != nil {
		t.Fatal(err)
	}
	r.hubDown(true)
	r.later(6 * time.Second)
	r.refusedBy(errOf(r.PassCaller(t.Context(), text, home)), "DP-165", "nobody knows whether it runs", text)
}
