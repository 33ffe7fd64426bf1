package pass

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// TestTable: each row's example is understood by whom the row names, described
// by that row, and limits what the row says.
func TestTable(t *testing.T) {
	var all Kinds
	for _, row := range Caveats() {
		got, ok := Describe(row.Text)
		if !ok || got.Text != row.Text {
			t.Errorf("%s is described as %q", row.Text, got.Text)
		}
		var r Rights
		err := r.read([]string{row.Text})
		if (err == nil) != (row.Readers&ReadByDaypass != 0) {
			t.Errorf("%s: %v, readers %d", row.Text, err, row.Readers)
		}
		if err == nil && r.Limited != row.Kind {
			t.Errorf("%s limits %s, and its row says %s", row.Text, r.Limited, row.Kind)
		}
		if row.Name != "" && kindOf(row.Name) != row.Kind {
			t.Errorf("%s is of kind %s, and its row says %s", row.Name, kindOf(row.Name), row.Kind)
		}
		if row.Name != "" && !strings.HasPrefix(row.Text, row.Name+"=") || row.Meaning == "" || row.Refuses == "" || row.Readers == 0 {
			t.Errorf("%s: the row is not whole", row.Text)
		}
		if ours := strings.HasPrefix(row.Name, "dp:"); ours != (row.Readers == ReadByDaypass) {
			t.Errorf("%s: the name must make devpi-tokens refuse what it does not know", row.Name)
		}
		all |= row.Kind
	}
	if all != KindDigest<<1-1 {
		t.Errorf("the table speaks of %s, not of all kinds", all)
	}
	for _, text := range []string{"", "=", "x", "x=1", "dp:nothing=1", "[]", "[9]", "{}", `{"nbf": 1}`, `[1, 2]`, "account = 1"} {
		if row, ok := Describe(text); ok {
			t.Errorf("%q is described as %q", text, row.Text)
		}
	}
}

// TestPage holds doc/passes.md to the table.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../doc/passes.md")
	if err != nil {
		t.Fatal(err)
	}
	readers := map[Readers]string{
		everyReader: "daypass, devpi-tokens", ReadByDaypass: "daypass", readByPyPIed: "daypass, PyPI", ReadByPyPI: "PyPI",
	}
	for _, row := range Caveats() {
		line := fmt.Sprintf("| `%s` | %s | %s | %s |\n", row.Text, row.Meaning, row.Refuses, readers[row.Readers])
		if !strings.Contains(string(page), line) {
			t.Errorf("doc/passes.md lacks the line\n%s", line)
		}
	}
}

func TestLimits(t *testing.T) {
	l := Limits{
		Allowed: []string{"upload", " pkg_read ", "upload"}, Indexes: []string{"bob/prod", "alice/dev"}, Projects: []string{"b", "A"},
		Expires: time.Unix(2000000000, 0), NotBefore: time.Unix(1900000000, 0), Access: daypass.Read, Addresses: []string{"192.0.2.7/24", "::1"},
		Digests: []string{"sha256:" + strings.Repeat("a", 64)}, Hosts: []string{"GitHub.com"}, Repos: []string{"o/r#7"},
		Servers: []string{ServerItem("my server", noon)}, Sources: []string{"doi:1"}, Uses: 2,
	}
	got, err := l.Caveats()
	want := []string{
		"allowed=pkg_read,upload", "expires=2000000000", "indexes=alice/dev,bob/prod", "not_before=1900000000", "projects=A,b", "dp:access=read",
		"dp:address=192.0.2.0/24,::1", "dp:digest=sha256:" + strings.Repeat("a", 64), "dp:host=GitHub.com", "dp:repo=o/r#7", "dp:server=my%20server@1795348800", "dp:source=doi:1", "dp:uses=2",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%q, want\n%q", err, got, want)
	}
	if got, err := (Limits{Allowed: []string{}, Expires: daypass.Forever}).Caveats(); err != nil || !slices.Equal(got, []string{"allowed=", "expires=never"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := (Limits{}).Caveats(); err != nil || got != nil || !(Limits{}).IsZero() || l.IsZero() {
		t.Errorf("no limits: %q, %v", got, err)
	}
	for _, bad := range []Limits{
		{Allowed: []string{"a,b"}}, {Allowed: []string{""}}, {Allowed: []string{"a b"}}, {Allowed: []string{"a\nb"}}, {Indexes: []string{"dev"}}, {Indexes: []string{"a/b/c"}}, {Indexes: []string{"/dev"}},
		{Projects: []string{"-"}}, {Projects: []string{"naïve"}}, {Hosts: []string{"a b"}}, {Hosts: []string{"*"}}, {Repos: []string{"data"}}, {Addresses: []string{"here"}}, {Digests: []string{"abc"}},
		{Servers: []string{"gpu"}}, {Uses: -1}, {Uses: 2000000000}, {Expires: time.Unix(-5, 0)}, {NotBefore: daypass.Forever}, {Sources: []string{"é"}},
	} {
		var e *LimitError
		if got, err := bad.Caveats(); !errors.As(err, &e) || e.Kind == 0 {
			t.Errorf("%+v: %q, %v", bad, got, err)
		}
	}
}

func TestPyPILimits(t *testing.T) {
	end := time.Unix(2000000000, 0)
	for _, c := range []struct {
		l    Limits
		want []string
	}{
		{Limits{Expires: end}, []string{"[0, 2000000000, 0]"}},
		{Limits{Expires: end, NotBefore: time.Unix(1900000000, 0), Projects: []string{"foo", "bar"}}, []string{"[0, 2000000000, 1900000000]", `[1, ["foo", "bar"]]`}},
		{Limits{Expires: daypass.Forever}, nil},
	} {
		got, err := c.l.PyPICaveats()
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q, %v, want %q", got, err, c.want)
		}
		var r Rights
		if err := r.read(got); err != nil {
			t.Errorf("%q: %v", got, err)
		}
	}
	for _, l := range []Limits{{Uses: 1}, {Indexes: []string{"a/b"}, Expires: end}, {Allowed: []string{"upload"}}, {NotBefore: end}, {Projects: []string{""}}} {
		if got, err := l.PyPICaveats(); err == nil {
			t.Errorf("%+v: %q", l, got)
		}
	}
}

func TestWhen(t *testing.T) {
	utc := func(s string) time.Time {
		t.Helper()
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	zones := []*time.Location{time.UTC, time.FixedZone("", 14*3600), time.FixedZone("", -12*3600)}
	if berlin, err := time.LoadLocation("Europe/Berlin"); err == nil {
		zones = append(zones, berlin)
	}
	for _, c := range []struct{ now, text, want string }{
		{"2024-02-29T12:00:00Z", "1 year", "2025-02-28T12:00:00Z"},
		{"2023-03-01T00:30:00Z", "1 year", "2024-03-01T00:30:00Z"}, // 366 days, over a leap day
		{"2024-02-28T23:59:59Z", "1d", "2024-02-29T23:59:59Z"},
		{"2024-02-29T12:00:00Z", "4y", "2028-02-29T12:00:00Z"},
		{"2023-02-28T12:00:00Z", "1y", "2024-02-28T12:00:00Z"},
		{"2026-01-31T10:00:00Z", "1 month", "2026-02-28T10:00:00Z"},
		{"2024-01-31T10:00:00Z", "1 month", "2024-02-29T10:00:00Z"},
		{"2024-03-31T10:00:00Z", "-1month", "2024-02-29T10:00:00Z"},
		{"2026-11-30T10:00:00Z", "3 months", "2027-02-28T10:00:00Z"},
		{"2026-12-31T23:30:00Z", "1 year 2 months 3 days", "2028-03-03T23:30:00Z"}, // 29 February 2028 and three days, the calendar first
		{"2026-03-29T00:30:00Z", "1 day", "2026-03-30T00:30:00Z"},                  // the clocks change in Berlin
		{"2026-11-22T04:00:00Z", "10min", "2026-11-22T04:10:00Z"},
		{"2026-11-22T04:00:00Z", "10s", "2026-11-22T04:00:10Z"},
		{"2026-11-22T04:00:00Z", "1h30min", "2026-11-22T05:30:00Z"},
		{"2026-11-22T04:00:00Z", " +2 Weeks, 1 Day ", "2026-12-07T04:00:00Z"},
		{"2026-11-22T04:00:00Z", "-5min", "2026-11-22T03:55:00Z"},
		{"2026-11-22T04:00:00Z", "1795348800", "2026-11-22T12:00:00Z"},
		{"2026-11-22T04:00:00Z", "@1795348800", "2026-11-22T12:00:00Z"},
		{"2026-11-22T04:00:00Z", "10", "1970-01-01T00:00:10Z"},
		{"2026-11-22T04:00:00Z", "2026-12-24T18:00:00+01:00", "2026-12-24T17:00:00Z"},
	} {
		for _, zone := range zones {
			got, err := ParseWhen(c.text, utc(c.now).In(zone))
			if err != nil || !got.Equal(utc(c.want)) || got.Location() != time.UTC {
				t.Errorf("%q at %s in %s: %s, %v, want %s", c.text, c.now, zone, got, err, c.want)
			}
		}
	}
	got, err := ParseWhen("2026-12-24 18:00", utc("2026-11-22T04:00:00Z").In(zones[1]))
	if err != nil || !got.Equal(utc("2026-12-24T04:00:00Z")) {
		t.Errorf("a local time: %s, %v", got, err)
	}
	got, err = ParseWhen("2026-12-24", utc("2026-11-22T04:00:00Z").In(zones[1]))
	if err != nil || !got.Equal(utc("2026-12-23T10:00:00Z")) {
		t.Errorf("a date, which begins there: %s, %v", got, err)
	}
	if got, err := ParseWhen(" Never ", noon); err != nil || !got.Equal(daypass.Forever) {
		t.Errorf("never: %s, %v", got, err)
	}
	for text, want := range map[string]error{
		"": ErrWhen, "soon": ErrWhen, "h": ErrWhen, "1": nil, "1 fortnight": ErrWhen, "1.5h": ErrWhen, "5m": ErrMonth, "1y 2m": ErrMonth, "--5min": ErrWhen, "1h-1min": ErrWhen, "1h 5": ErrWhen,
		"9999 years": ErrTooFar, "99999999999999999": ErrTooFar, "99999999999 years": ErrWhen, "-100 years": ErrTooFar, "2026-02-30 10:00": ErrWhen, "2147483647 weeks": ErrTooFar, "2026-12-2": ErrWhen, "2026-13-24": ErrWhen, "2026-12-24 ": nil, "2026-02-30": ErrWhen, "26-12-24": ErrWhen,
	} {
		if _, err := ParseWhen(text, noon); err != want {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestNormalProject(t *testing.T) {
	for in, want := range map[string]string{"Foo_Bar": "foo-bar", "foo--bar": "foo-bar", "foo.-_bar": "foo-bar", "foo": "foo", "": "", "naïve": "na-ve", " x ": "-x-", "A": "a", "-a": "-a", "é": "-"} {
		if got := NormalProject(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestBareIndexes(t *testing.T) {
	l := Limits{Indexes: []string{"foo", "alice/dev"}}
	if _, err := l.Caveats(); err == nil {
		t.Error("an index without its user was taken")
	}
	l.BareIndexes = true
	got, err := l.Caveats()
	if err != nil || len(got) != 1 || got[0] != "indexes=alice/dev,foo" {
		t.Error(got, err)
	}
	l.Indexes = []string{"a/b/c"}
	if _, err := l.Caveats(); err == nil {
		t.Error("three steps were taken")
	}
}
