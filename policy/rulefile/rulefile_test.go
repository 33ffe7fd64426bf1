package rulefile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
)

func class() RuleText {
	return RuleText{Name: "class", Who: WhoText{Groups: []string{"students"}}, What: []string{"GitHub.com/uni/course-*"}, Access: "read", As: "hub", Max: "30m"}
}

func TestRule(t *testing.T) {
	r, err := class().Rule()
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "class" || r.Forbid || r.Who.Groups[0] != "students" || r.What[0].String() != "github.com/uni/course-*" ||
		r.Access != daypass.Read || r.As != policy.AsHub || r.Max != 30*time.Minute {
		t.Errorf("got %+v", r)
	}
	for _, c := range []struct {
		change      func(*RuleText)
		field, says string
	}{
		{func(r *RuleText) { r.What = append(r.What, "uni/a") }, "what", "HOST/OWNER/NAME"},
		{func(r *RuleText) { r.Access = "wirte" }, "access", "read or write"},
		{func(r *RuleText) { r.Access = "none" }, "access", "read or write"},
		{func(r *RuleText) { r.Access = "Read" }, "access", "read or write"},
		{func(r *RuleText) { r.As = "viewer" }, "as", "user or hub"},
		{func(r *RuleText) { r.As = "none" }, "as", "user or hub"},
		{func(r *RuleText) { r.Max = "soon" }, "max", "30m, 1h or 2d"},
		{func(r *RuleText) { r.Max = "30" }, "max", "30m, 1h or 2d"},
		{func(r *RuleText) { r.Max = "d" }, "max", "30m, 1h or 2d"},
		{func(r *RuleText) { r.Max = "-1d" }, "max", "30m, 1h or 2d"},
		{func(r *RuleText) { r.Max = "1.5d" }, "max", "30m, 1h or 2d"},
		{func(r *RuleText) { r.Max = "99999999999d" }, "max", "30m, 1h or 2d"},
		{func(r *RuleText) { r.Max = "99999999999h" }, "max", "30m, 1h or 2d"},
		{func(r *RuleText) { r.Forbid, r.Max = true, "" }, "as", "leave it out"},
		{func(r *RuleText) { r.Forbid, r.As = true, "" }, "max", "leave it out"},
	} {
		text := class()
		c.change(&text)
		if _, err := text.Rule(); err == nil || !strings.HasPrefix(err.Error(), `rule "class": `+c.field+": ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("want a word about %s, got %v", c.field, err)
		}
	}
}

func TestMax(t *testing.T) {
	for text, want := range map[string]time.Duration{"30m": 30 * time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "365d": 365 * 24 * time.Hour} {
		r := class()
		r.Max = text
		if got, err := r.Rule(); err != nil || got.Max != want {
			t.Errorf("%s: %v, %v", text, got.Max, err)
		}
	}
	for _, text := range []string{"", "0s", "-1h", "59s", "366d", "65535d"} { // durations, but not for a token
		r := class()
		r.Max = text
		if _, err := Rules([]RuleText{r}); err == nil || !strings.Contains(err.Error(), "max: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRules(t *testing.T) {
	bad, worse := class(), class()
	bad.Access, worse.Max = "x", "x"
	if _, err := Rules([]RuleText{bad, class(), worse}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("not each has its line: %v", err)
	}
	none := class()
	none.Who.Groups = []string{}
	if _, err := Rules([]RuleText{none}); err == nil || !strings.Contains(err.Error(), "who: ") {
		t.Errorf("an empty list means all: %v", err)
	}
	if s, err := Rules(nil); err != nil || s.Decide(policy.Request{}).Allowed {
		t.Error("no rules are no set that allows nothing")
	}
}

func TestCheck(t *testing.T) {
	own := RuleText{Name: "own", What: []string{"github.com/*/*"}, Access: "write", Max: "1h"}
	exam := RuleText{Name: "exams", Forbid: true, What: []string{"github.com/uni/exam"}}
	gpu := RuleText{Name: "gpu", Forbid: true, Who: WhoText{Servers: []string{"gpu"}}, What: []string{"github.com/uni/big"}}
	home := RuleText{Name: "home", Who: WhoText{Servers: []string{"default"}}, What: []string{"ghe.example/*/*"}, Access: "read", Max: "1h"}
	set, err := Rules([]RuleText{own, class(), exam, gpu, home})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(repo, want, rule string, change func(*Case)) Case {
		c := Case{Who: "ada", Host: "github.com", Repo: repo, Access: "write", Want: want, Rule: rule}
		if change != nil {
			change(&c)
		}
		return c
	}
	good := []Case{
		ask("uni/a", "allow", "own", nil),
		ask("uni/a", "allow", "", func(c *Case) { c.Kind, c.As = "own", "user" }),
		ask("uni/exam", "refuse", "exams", nil),
		ask("uni/exam", "refuse", "", nil),
		ask("uni/a", "refuse", policy.ReadOnly, func(c *Case) { c.Kind = "dashboard" }),
		ask("uni/a", "refuse", policy.ReadOnly, func(c *Case) { c.Kind = "shared" }),
		ask("uni/course-1", "allow", "class", func(c *Case) { c.As, c.Access, c.Groups = "hub", "read", []string{"students"} }),
		ask("uni/course-1", "refuse", policy.Default, func(c *Case) { c.As, c.Access = "hub", "read" }),
		ask("uni/big", "refuse", "gpu", func(c *Case) { c.Server = "gpu" }),
		ask("uni/big", "refuse", "gpu", func(c *Case) { c.Server = "unknown" }),
		ask("uni/big", "allow", "own", func(c *Case) { c.Server = "cpu" }),
		ask("uni/a", "allow", "home", func(c *Case) { c.Host, c.Access = "ghe.example", "read" }),
		ask("uni/a", "allow", "home", func(c *Case) { c.Host, c.Access, c.Server = "ghe.example", "read", "default" }),
		ask("uni/a", "refuse", policy.Default, func(c *Case) { c.Host, c.Access, c.Server = "ghe.example", "read", "cpu" }),
		ask("uni/a/../../b", "refuse", policy.Malformed, nil),
	}
	if got := Check(set, good); got != nil {
		t.Errorf("good cases: %+v", got)
	}
	for i, c := range []struct {
		bad  Case
		says string
	}{
		{ask("uni/exam", "allow", "", nil), "refuse, by exams: it forbids this"},
		{ask("uni/a", "refuse", "", nil), "allow, by own: "},
		{ask("uni/a", "allow", "class", nil), "allow, by own: "},
		{ask("uni/a/b", "refuse", "", nil), "write rule: malformed"},
		{ask("", "refuse", "", nil), "write rule: malformed"},
		{ask("uni/a", "refuse", "", func(c *Case) { c.Host = "" }), "write rule: malformed"},
		{ask("uni/exam", "deny", "", nil), "want: "},
		{ask("uni/exam", "", "", nil), "want: "},
		{ask("uni/exam", "refuse", "", func(c *Case) { c.Access = "push" }), "access: "},
		{ask("uni/exam", "refuse", "", func(c *Case) { c.Access = "" }), "access: "},
		{ask("uni/exam", "refuse", "", func(c *Case) { c.As = "me" }), "as: "},
		{ask("uni/exam", "refuse", "", func(c *Case) { c.Kind = "none" }), "kind: "},
	} {
		got := Check(set, append(good[:2:2], c.bad))
		if len(got) != 1 || got[0].N != 3 || !strings.HasPrefix(got[0].Why, c.says) && !strings.HasSuffix(got[0].Why, c.says) || fmt.Sprint(got[0].Case) != fmt.Sprint(c.bad) {
			t.Errorf("case %d: %+v", i, got)
		}
	}
}

func TestMaxPass(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "8h": 8 * time.Hour, "30d": 30 * 24 * time.Hour, "never": policy.NoEnd} {
		r := class()
		r.MaxPass = text
		if got, err := r.Rule(); err != nil || got.MaxPass != want {
			t.Errorf("%s: %v, %v", text, got.MaxPass, err)
		}
	}
	for _, text := range []string{"0s", "0d", "-1h", "59s", "366d", "soon", "Never", "1 day"} {
		r := class()
		r.MaxPass = text
		if _, err := Rules([]RuleText{r}); err == nil || !strings.Contains(err.Error(), "max_pass: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
	forbid := RuleText{Name: "no", Forbid: true, What: []string{"*/*/*"}, MaxPass: "never"}
	if _, err := forbid.Rule(); err == nil || !strings.Contains(err.Error(), "max_pass: leave it out") {
		t.Errorf("a rule that forbids: %v", err)
	}
}
