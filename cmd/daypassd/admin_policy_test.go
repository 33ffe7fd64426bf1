package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

const someRules = `rules:
  - {name: mine, what: ['*/*/*'], access: write, max: 1h}
  - {name: no-exams, forbid: true, what: ['*/uni/exam-*']}
  - {name: courses, who: {groups: [students]}, what: ['HOST/uni/course-*'], access: read, as: hub, max: 30m}
audit_rules:
  - {name: stricter, what: ['*/uni/*'], access: read, max: 1h}
`

func rulesFor(o *office, text string) { o.edit("# rules", strings.ReplaceAll(text, "HOST", o.host())) }

func TestPolicyCommands(t *testing.T) {
	o := newOffice(t, "# rules")
	o.wants(0, []string{"preset holds", "own-connections", "lets read and write in every repository", "No rule is useless"}, "policy", "check")
	rulesFor(o, someRules)
	o.wants(0, []string{"3 rules", "courses", "as the hub, for at most 30 minutes", "members of students", "1 rule is only watched", "No rule is useless"}, "policy", "check")

	course := o.host() + "/uni/course-1"
	o.hub.SetGroups("ada", "students")
	o.hub.StartServer("ada", "")
	o.wants(0, []string{"says the hub: students", "To read uni/course-1", "allowed, for at most 1 hour, by mine", "To write", "audit_rules"}, "policy", "explain", "--user", "ada", course)
	o.wants(0, []string{"allowed, for at most 30 minutes, by courses"}, "policy", "explain", "--user", "ada", "--as", "hub", course)
	o.wants(0, []string{"refused, by default"}, "policy", "explain", "--user", "ada", "--group", "staff", "--as", "hub", course)
	o.wants(0, []string{"refused, by no-exams", "=>"}, "policy", "explain", "--user", "ada", "--access", "read", o.host()+"/uni/exam-1")
	o.wants(0, []string{"nobody of that name"}, "policy", "explain", "--user", "eve", course)
	for _, args := range [][]string{{course}, {"--user", "ada", "uni/course-1"}, {"--user", "ada", "--as", "root", course}, {"--user", "ada", "--access", "all", course}, {"--user", "ada"}} {
		o.wants(2, []string{"DP-001"}, append([]string{"policy", "explain"}, args...)...)
	}

	good := o.file("cases.yaml", strings.ReplaceAll(`- {who: ada, groups: [students], host: HOST, repo: uni/course-1, access: read, as: hub, want: allow, rule: courses}
- {who: ada, host: HOST, repo: uni/exam-1, access: read, want: refuse, rule: no-exams}
`, "HOST", o.host()))
	o.wants(0, []string{"2 cases, each as it is meant"}, "policy", "test", good)
	bad := o.file("bad.yaml", "- {who: ada, host: x.example, repo: uni/a, access: read, want: refuse}\n- {who: ada, host: x.example, repo: uni/a, access: write, want: allow}\n")
	o.wants(1, []string{"Case 1", "DP-960", "1 of 2 cases"}, "policy", "test", bad)
	for _, text := range []string{"", "x: y\n", "- {whom: ada}\n"} {
		o.wants(2, []string{"DP-963"}, "policy", "test", o.file("odd.yaml", text))
	}
	o.wants(2, []string{"DP-963"}, "policy", "test", o.dir+"/nowhere.yaml")

	o.edit("max: 30m", "max: 30m, as: both")
	o.wants(2, []string{"DP-90"}, "policy", "check")
	o.edit("max: 30m, as: both", "max: 30m")
	o.edit("access: read, as: hub", "access: write, as: hub")
	o.wants(1, []string{"DP-959", "as the hub nobody writes"}, "policy", "check")
	o.wants(1, []string{"DP-959"}, "policy", "test", good)
}

func TestUnpin(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	o.must(d, o.connect(d, "ada", fake.CampusUser), "river-lab", "data")
	data := o.host() + "/River-Lab/Data"
	o.wants(1, []string{"DP-964", "It is for: ada"}, "policy", "unpin", data)
	o.wants(1, []string{"DP-962"}, "policy", "unpin", data, "--user", "eve")
	o.wants(0, []string{"means the repository that bears the name at the next use"}, "policy", "unpin", data, "--user", "ada")
	o.wants(1, []string{"DP-964"}, "policy", "unpin", data, "--user", "ada")
	if list, err := d.db.Pins(t.Context(), store.PinFilter{}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	o.wants(0, []string{"the pin was forgotten, by root-of-it-all"}, "events", "--kind", "pin")
	o.wants(2, []string{"DP-001"}, "policy", "unpin", "data")
}

// TestLint: each warning is about a rule that decides nothing, and no rule that
// can decide is warned about.
func TestLint(t *testing.T) {
	pats := func(list ...string) (out []policy.Pattern) {
		for _, s := range list {
			p, err := policy.ParsePattern(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, p)
		}
		return out
	}
	allow := func(name string, access daypass.Access, what ...string) policy.Rule {
		return policy.Rule{Name: name, Access: access, Max: 3600e9, What: pats(what...)}
	}
	forbid := func(name string, access daypass.Access, what ...string) policy.Rule {
		return policy.Rule{Name: name, Forbid: true, Access: access, What: pats(what...)}
	}
	who := func(r policy.Rule, w policy.Who) policy.Rule { r.Who = w; return r }
	short := allow("short", daypass.Read, "github.com/uni/a")
	long := allow("long", daypass.Read, "github.com/uni/a")
	long.Max *= 2
	hubs := who(allow("hubs", daypass.Read, "ghes.example/uni/a"), policy.Who{Groups: []string{"g"}})
	hubs.As = policy.AsHub
	var c serverConfig
	c.GitHub = make([]githubConfig, 2)
	c.GitHub[0].Host, c.GitHub[1].Host = "github.com", "https://ghes.example"
	c.GitHub[0].Content.ClientID = "Iv1"
	for name, tc := range map[string]struct {
		rules []policy.Rule
		want  []string // the rules warned about
	}{
		"apart":               {[]policy.Rule{allow("a", daypass.Read, "github.com/uni/a"), allow("b", daypass.Read, "github.com/uni/b")}, nil},
		"not served":          {[]policy.Rule{allow("a", daypass.Read, "gitlab.com/uni/a")}, []string{"a"}},
		"one of two served":   {[]policy.Rule{allow("a", daypass.Read, "gitlab.com/uni/a", "g*.com/uni/a")}, nil},
		"no content App":      {[]policy.Rule{hubs}, []string{"hubs"}},
		"covered":             {[]policy.Rule{allow("all", daypass.Write, "*/*/*"), allow("a", daypass.Read, "github.com/uni/a")}, []string{"a"}},
		"covered, later":      {[]policy.Rule{allow("a", daypass.Read, "github.com/uni/a"), allow("all", daypass.Write, "*/*/*")}, []string{"a"}},
		"twins":               {[]policy.Rule{allow("a", daypass.Read, "*/*/*"), allow("b", daypass.Read, "*/*/*")}, []string{"b"}},
		"write is more":       {[]policy.Rule{allow("all", daypass.Read, "*/*/*"), allow("a", daypass.Write, "github.com/uni/a")}, nil},
		"longer":              {[]policy.Rule{short, long}, []string{"short"}},
		"forbidden":           {[]policy.Rule{forbid("no", 0, "*/uni/*"), allow("a", daypass.Read, "github.com/uni/a*")}, []string{"a"}},
		"forbidden in part":   {[]policy.Rule{forbid("no", 0, "*/uni/a*"), allow("a", daypass.Read, "github.com/uni/*")}, nil},
		"forbidden to write":  {[]policy.Rule{forbid("no", daypass.Write, "*/uni/*"), allow("a", daypass.Write, "github.com/uni/a")}, nil},
		"forbidden to some":   {[]policy.Rule{who(forbid("no", 0, "*/*/*"), policy.Who{Groups: []string{"x"}}), allow("a", daypass.Read, "*/*/*")}, nil},
		"forbidden to all":    {[]policy.Rule{who(forbid("no", 0, "*/*/*"), policy.Who{Groups: []string{"*"}}), who(allow("a", daypass.Read, "*/*/*"), policy.Who{Users: []string{"ada"}})}, []string{"a"}},
		"users by a pattern":  {[]policy.Rule{who(allow("x", daypass.Read, "*/*/*"), policy.Who{Users: []string{"st-*"}}), who(allow("a", daypass.Read, "*/*/*"), policy.Who{Users: []string{"st-1", "st-b*"}})}, []string{"a"}},
		"patterns that cross": {[]policy.Rule{allow("x", daypass.Read, "*/uni/*b"), allow("a", daypass.Read, "*/uni/a*")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := lint(tc.rules, &c)
			if len(got) != len(tc.want) {
				t.Fatalf("%q, want %q", got, tc.want)
			}
			for i, w := range tc.want {
				if !strings.HasPrefix(got[i], "rule "+w+" ") {
					t.Errorf("%q is not about %s", got[i], w)
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	o := newOffice(t, "")
	o.wants(1, []string{"green  configuration", "RED    running", "nothing answers at", "DP-958", "-> "}, "check")
	o.serve()
	said := o.wants(0, []string{"green  keys", "green  store", "green  hub", "green  running", "green  rules", "green  hook", "synchronous=2", "The App to connect", "is well"}, "check")
	if strings.Contains(said, "RED") {
		t.Error("a red line")
	}
	var list []checkLine
	if err := json.Unmarshal([]byte(o.wants(0, nil, "check", "--json")), &list); err != nil || len(list) < 8 {
		t.Errorf("%+v, %v", list, err)
	}
	o.edit("api: http://127.0.0.1:", "api: http://127.0.0.2:") // nobody there
	o.wants(1, []string{"RED    hub", "jupyterhub_config.py"}, "check")
	o.edit("api: http://127.0.0.2:", "api: http://127.0.0.1:")
	o.file("etc/push-secret", "wrong-secret-of-the-app")
	o.wants(1, []string{"RED"}, "check")
	o.wants(1, []string{"RED", "DP-965"}, "app", "check")
	o.file("etc/push-secret", fake.CampusPushSecret)
	o.file("etc/keys.json", "{}")
	o.wants(1, []string{"RED    keys", "green  rules", "green  running"}, "check")
	o.edit("url: http://127", "url: http://hub.example/127")
	o.wants(1, []string{"is not https"}, "check")
	o.file("etc/server.yaml", "nonsense: 1\n")
	o.wants(1, []string{"RED    configuration", "DP-902"}, "check")
}

func TestAppCheck(t *testing.T) {
	o := newOffice(t, "")
	o.wants(0, []string{"green", "has the client id"}, "app", "check")
	o.world.Local.Update(func(s *fake.Seed) {
		for i := range s.Apps {
			if s.Apps[i].ClientID == fake.CampusPushApp {
				s.Apps[i].Permissions = map[string]string{"contents": "write", "metadata": "read", "workflows": "write"}
			}
		}
	})
	o.wants(1, []string{"RED", "workflows", "DP-965"}, "app", "check")
	stop := o.world.Local.Fault(nil, fake.Fault{Kind: fake.FaultReset})
	defer stop()
	o.wants(1, []string{"RED", "cannot be asked"}, "app", "check")
}
