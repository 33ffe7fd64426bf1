package policy

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

func what(t testing.TB, patterns ...string) []Pattern {
	t.Helper()
	var out []Pattern
	for _, s := range patterns {
		p, err := ParsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func set(t testing.TB, rules ...Rule) *Set {
	t.Helper()
	s, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask is a good request of ada's, to be changed by a test.
func ask(change func(*Request)) Request {
	q := Request{
		User: "ada", Groups: []string{"students"}, Server: daypass.Server{Known: true}, Kind: Own,
		Host: "github.com", Repo: daypass.Repo{Owner: "uni", Name: "course-1"}, Access: daypass.Read,
	}
	if change != nil {
		change(&q)
	}
	return q
}

func allow(t testing.TB, name string, who Who, patterns ...string) Rule {
	return Rule{Name: name, Who: who, What: what(t, patterns...), Access: daypass.Write, Max: time.Hour}
}

func TestDecide(t *testing.T) {
	s := set(t,
		allow(t, "all", Who{}, "*/*/*"),
		Rule{Name: "long", Who: Who{Groups: []string{"staff"}}, What: what(t, "github.com/uni/*"), Access: daypass.Read, Max: 8 * time.Hour},
		Rule{Name: "no-exams", Forbid: true, What: what(t, "github.com/uni/exam-*")},
		Rule{Name: "look-only", Forbid: true, Access: daypass.Write, What: what(t, "github.com/uni/book")},
		Rule{Name: "class", Who: Who{Groups: []string{"students"}}, What: what(t, "github.com/uni/course-*"), Access: daypass.Read, As: AsHub, Max: 30 * time.Minute},
	)
	for name, c := range map[string]struct {
		change func(*Request)
		want   Verdict
	}{
		"read":           {nil, Verdict{true, "all", "it allows write as the user", daypass.Read, time.Hour, DefaultMaxPass}},
		"write":          {func(q *Request) { q.Access = daypass.Write }, Verdict{true, "all", "it allows write as the user", daypass.Write, time.Hour, DefaultMaxPass}},
		"short":          {func(q *Request) { q.For = time.Minute }, Verdict{true, "all", "it allows write as the user", daypass.Read, time.Minute, DefaultMaxPass}},
		"too long":       {func(q *Request) { q.For = 9 * time.Hour }, Verdict{true, "all", "it allows write as the user", daypass.Read, time.Hour, DefaultMaxPass}},
		"longest":        {func(q *Request) { q.Groups = []string{"staff"} }, Verdict{true, "long", "it allows read as the user", daypass.Read, 8 * time.Hour, DefaultMaxPass}},
		"staff write":    {func(q *Request) { q.Groups, q.Access = []string{"staff"}, daypass.Write }, Verdict{true, "all", "it allows write as the user", daypass.Write, time.Hour, DefaultMaxPass}},
		"forbidden":      {func(q *Request) { q.Repo.Name = "Exam-1" }, Verdict{Rule: "no-exams", Why: "it forbids this"}},
		"write only no":  {func(q *Request) { q.Repo.Name, q.Access = "book", daypass.Write }, Verdict{Rule: "look-only", Why: "it forbids this"}},
		"write only yes": {func(q *Request) { q.Repo.Name = "book" }, Verdict{true, "all", "it allows write as the user", daypass.Read, time.Hour, DefaultMaxPass}},
		"hub":            {func(q *Request) { q.As = AsHub }, Verdict{true, "class", "it allows read as the hub", daypass.Read, 30 * time.Minute, DefaultMaxPass}},
		"hub write":      {func(q *Request) { q.As, q.Access = AsHub, daypass.Write }, Verdict{Rule: Default, Why: "no rule allows it"}},
		"hub elsewhere":  {func(q *Request) { q.As, q.Repo.Owner = AsHub, "uni2" }, Verdict{Rule: Default, Why: "no rule allows it"}},
		"hub forbidden":  {func(q *Request) { q.As, q.Repo.Name = AsHub, "exam-1" }, Verdict{Rule: "no-exams", Why: "it forbids this"}},
		"hub stranger":   {func(q *Request) { q.As, q.Groups = AsHub, nil }, Verdict{Rule: Default, Why: "no rule allows it"}},
		"dashboard":      {func(q *Request) { q.Kind, q.Access = Dashboard, daypass.Write }, Verdict{Rule: ReadOnly, Why: "shared servers and dashboards only read"}},
		"shared":         {func(q *Request) { q.Kind, q.Access = Shared, daypass.Write }, Verdict{Rule: ReadOnly, Why: "shared servers and dashboards only read"}},
		"dashboard read": {func(q *Request) { q.Kind = Dashboard }, Verdict{true, "all", "it allows write as the user", daypass.Read, time.Hour, DefaultMaxPass}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.Decide(ask(c.change)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestNothing: no rules, no answer but no.
func TestNothing(t *testing.T) {
	var none *Set
	for _, s := range []*Set{none, {}, set(t)} {
		if v := s.Decide(ask(nil)); v.Allowed || v.Rule != Default {
			t.Errorf("got %+v", v)
		}
		if steps := s.Explain(ask(nil)); len(steps) != 1 || steps[0].Rule != Default || !steps[0].Decides {
			t.Errorf("got %+v", steps)
		}
	}
	if v := set(t, Preset()...).Decide(Request{}); v.Allowed || v.Rule != Malformed {
		t.Errorf("the zero request: %+v", v)
	}
}

// TestMalformed gives one odd thing at a time to rules that allow everything.
func TestMalformed(t *testing.T) {
	s := set(t, Preset()...)
	if !s.Decide(ask(func(q *Request) { q.Access = daypass.Write })).Allowed {
		t.Fatal("the preset does not allow what it is for")
	}
	for name, change := range map[string]func(*Request){
		"no user":          func(q *Request) { q.User = "" },
		"user's bytes":     func(q *Request) { q.User = "a\xff" },
		"group's bytes":    func(q *Request) { q.Groups = []string{"ok", "\xfe"} },
		"empty group":      func(q *Request) { q.Groups = []string{""} },
		"server's bytes":   func(q *Request) { q.Server.Name = "\xff" },
		"no host":          func(q *Request) { q.Host = "" },
		"host with slash":  func(q *Request) { q.Host = "github.com/uni" },
		"host's dot":       func(q *Request) { q.Host = "github.com." },
		"host's user":      func(q *Request) { q.Host = "x@github.com" },
		"host look-alike":  func(q *Request) { q.Host = "gıthub.com" },
		"host wide dot":    func(q *Request) { q.Host = "github。com" },
		"host star":        func(q *Request) { q.Host = "*" },
		"no owner":         func(q *Request) { q.Repo.Owner = "" },
		"no name":          func(q *Request) { q.Repo.Name = "" },
		"number only":      func(q *Request) { q.Repo = daypass.Repo{ID: 42} },
		"climbing":         func(q *Request) { q.Repo.Name = "a/../../b" },
		"dots":             func(q *Request) { q.Repo.Name = ".." },
		"owner of two":     func(q *Request) { q.Repo.Owner = "uni/x" },
		"slash moved":      func(q *Request) { q.Repo.Owner, q.Repo.Name = "uni/course-1", "" },
		"escape":           func(q *Request) { q.Repo.Name = "a%2fb" },
		"escaped dots":     func(q *Request) { q.Repo.Name = "%2e%2e" },
		"kelvin":           func(q *Request) { q.Repo.Name = "\u212aourse" },
		"cyrillic":         func(q *Request) { q.Repo.Owner = "unі" },
		"star":             func(q *Request) { q.Repo.Name = "*" },
		"query":            func(q *Request) { q.Repo.Name = "a?" },
		"NUL":              func(q *Request) { q.Repo.Name = "a\x00" },
		"newline":          func(q *Request) { q.Repo.Name = "a\n" },
		"backslash":        func(q *Request) { q.Repo.Name = `a\b` },
		"git":              func(q *Request) { q.Repo.Name = "a.git" },
		"GIT":              func(q *Request) { q.Repo.Name = "a.GIT" },
		"long":             func(q *Request) { q.Repo.Name = strings.Repeat("a", 101) },
		"no access":        func(q *Request) { q.Access = daypass.NoAccess },
		"more than access": func(q *Request) { q.Access = daypass.Write + 1 },
		"as":               func(q *Request) { q.As = AsHub + 1 },
		"no kind":          func(q *Request) { q.Kind = NoKind },
		"kind":             func(q *Request) { q.Kind = Dashboard + 1 },
		"past":             func(q *Request) { q.For = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			q := ask(change)
			v := s.Decide(q)
			if v.Allowed || v.Rule != Malformed || v.Why == "" || v.Max != 0 || v.Access != 0 {
				t.Errorf("got %+v", v)
			}
			if steps := s.Explain(q); len(steps) != 1 || steps[0].Rule != Malformed || !steps[0].Decides {
				t.Errorf("explained as %+v", steps)
			}
		})
	}
}

// TestWho holds what the lists mean: in rules that allow, to the letter; in
// rules that forbid, so that nobody slips past them.
func TestWho(t *testing.T) {
	known := func(name string) daypass.Server { return daypass.Server{Known: true, Name: name} }
	user := func(s string) func(*Request) { return func(q *Request) { q.User = s } }
	groups := func(s ...string) func(*Request) { return func(q *Request) { q.Groups = s } }
	server := func(s daypass.Server) func(*Request) { return func(q *Request) { q.Server = s } }
	users := func(s ...string) Who { return Who{Users: s} }
	for _, c := range []struct {
		who            Who
		change         func(*Request)
		allow, forbids bool
	}{
		{Who{}, nil, true, true},
		{users("ada"), nil, true, true},
		{users("bob", "ada"), nil, true, true},
		{users("bob"), nil, false, false},
		{users("Ada"), nil, false, true},
		{users("ad"), nil, false, false},
		{users("a*"), nil, true, true},
		{users("?d?"), nil, true, true},
		{users("?d"), nil, false, false},
		{users("*"), nil, true, true},
		{users("**"), nil, true, true},
		{users("a?a"), user("aéa"), true, true}, // ? is a character, not a byte
		{users("a*"), user("a/b"), false, true},
		{users("a?b"), user("a/b"), false, true},
		{users("*"), user("a/b"), true, true},
		{users("ada"), user("*"), false, false}, // a name is no pattern
		{users("ada"), user("a*"), false, false},
		{users("ada"), user("a?a"), false, false},
		{users("a*a"), user("*"), false, false},
		{users("[a]da"), nil, false, false}, // nor are brackets
		{users("[a]*"), user("[a]b"), true, true},
		{users("[a]*"), user("ab"), false, false},
		{users(`DOM\ada`), user(`DOM\ada`), true, true},
		{users(`DOM\*`), user(`DOM\ada`), true, true},
		{users(`DOM\*`), user(`dom\ada`), false, true},
		{users(`DOM\*`), user(`DOM*`), false, false},
		{users("[", "[!*"), user("x"), false, false},
		{users("ada"), user("аda"), false, false}, // a Cyrillic а
		{users("ada"), user("ada "), false, false},
		{users("ada"), user("ada\x00"), false, false},
		{Who{Groups: []string{"students"}}, nil, true, true},
		{Who{Groups: []string{"staff"}}, nil, false, false},
		{Who{Groups: []string{"staff"}}, groups("x", "staff"), true, true},
		{Who{Groups: []string{"staff"}}, groups("*"), false, false},
		{Who{Groups: []string{"staff"}}, groups(), false, false},
		{Who{Groups: []string{"s*"}}, groups(), false, false},
		{Who{Groups: []string{"*"}}, groups(), true, true},
		{Who{Groups: []string{"/uni/*"}}, groups("/uni/a/b"), false, true},
		{Who{Groups: []string{"/uni/*"}}, groups("/uni/a"), true, true},
		{Who{Servers: []string{"gpu"}}, nil, false, false},
		{Who{Servers: []string{"gpu"}}, server(known("gpu")), true, true},
		{Who{Servers: []string{"gpu"}}, server(known("GPU")), false, true},
		{Who{Servers: []string{"gpu-*"}}, server(known("gpu-/x")), false, true},
		{Who{Servers: []string{"gpu"}}, server(known("*")), false, false},
		{Who{Servers: []string{"gpu"}}, server(daypass.Server{}), false, true},
		{Who{Servers: []string{"unknown"}}, server(daypass.Server{}), false, true},
		{Who{Servers: []string{"unknown"}}, server(known("unknown")), true, true},
		{Who{Servers: []string{"*"}}, server(daypass.Server{}), true, true},
		{Who{Servers: []string{"gpu"}}, server(daypass.Server{Name: "gpu"}), false, true},
		{Who{Servers: []string{"default"}}, nil, true, true},
		{Who{Servers: []string{"default"}}, server(known("default")), false, true},
		{Who{Servers: []string{"d*"}}, server(known("default")), false, true},
		{Who{Servers: []string{"*"}}, server(known("default")), true, true},
		{Who{Users: []string{"ada"}, Groups: []string{"staff"}}, nil, false, false},
		{Who{Users: []string{"ada"}, Groups: []string{"students"}, Servers: []string{"default"}}, nil, true, true},
	} {
		q := ask(c.change)
		if got := set(t, allow(t, "x", c.who, "*/*/*")).Decide(q).Allowed; got != c.allow {
			t.Errorf("%+v of %q: allowed %v, want %v", c.who, q.User, got, c.allow)
		}
		s := set(t, allow(t, "all", Who{}, "*/*/*"), Rule{Name: "x", Forbid: true, Who: c.who, What: what(t, "*/*/*")})
		if got := s.Decide(q).Rule == "x"; got != c.forbids {
			t.Errorf("%+v of %q: forbidden %v, want %v", c.who, q.User, got, c.forbids)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, host, repo string
		want                bool
	}{
		{"github.com/uni/*", "github.com", "uni/a", true},
		{"github.com/uni/*", "github.com", "UNI/A", true},
		{"GitHub.com/Uni/*", "GITHUB.com", "uni/a", true},
		{"github.com/uni/*", "github.com", "uni2/a", false},
		{"github.com/uni/*", "github.com", "un/a", false},
		{"github.com/uni/*", "github.com:443", "uni/a", false},
		{"github.com/uni/*", "github.com.evil.example", "uni/a", false},
		{"github.com/uni/*", "ghe.example", "uni/a", false},
		{"github.com/uni/*", "github.com", "uni/a/../../b", false},
		{"github.com/*/*", "github.com", "uni/a/b", false},
		{"github.com/u*", "github.com", "uni/a", false},
		{"github.com/u*/*", "github.com", "uni/a", true},
		{"github.com/*i/course-?", "github.com", "uni/course-1", true},
		{"github.com/*i/course-?", "github.com", "uni/course-12", false},
		{"*.example/uni/a", "git.example", "uni/a", true},
		{"*.example/uni/a", "a.b.example", "uni/a", true},
		{"*.example/uni/a", "example", "uni/a", false},
		{"[::1]:8443/*/*", "[::1]:8443", "uni/a", true},
		{"[::1]:8443/*/*", "1:8443", "uni/a", false},
		{"*/*/*", "github.com", "uni/a", true},
		{"*/*/*", "github.com", "uni/%2e%2e", false},
		{"*/uni/a.b", "github.com", "uni/axb", false},
	} {
		p, err := ParsePattern(c.pattern)
		if (err != nil) != (strings.Count(c.pattern, "/") != 2) {
			t.Errorf("%s: %v", c.pattern, err)
		}
		if err != nil {
			continue
		}
		s := set(t, Rule{Name: "x", What: []Pattern{p}, Access: daypass.Read, Max: time.Hour})
		owner, name, _ := strings.Cut(c.repo, "/")
		q := ask(func(q *Request) { q.Host, q.Repo = c.host, daypass.Repo{Owner: owner, Name: name} })
		if got := s.Decide(q).Allowed; got != c.want {
			t.Errorf("%s of %s/%s: %v, want %v", c.pattern, c.host, c.repo, got, c.want)
		}
	}
	for _, s := range []string{
		"", "*", "*/*", "uni/a", "github.com//a", "/uni/a", "github.com/uni/", "github.com/uni/a/b", "github.com/uni/a/*",
		"https://github.com/uni/a", "github.com/uni/a.git", "github.com/*/*.git", "github.com/uni/..", "github.com/uni/.", "github.com/../a",
		"github.com/uni/[ab]", `github.com/uni/\*`, "github.com/uni/a b", "github.com /uni/a", "github.com./uni/a", "gıthub.com/uni/a",
		"github.com/unі/a", "github.com/uni/%2a", "github.com/uni/**/x", "x@github.com/uni/a", "github.com:0/uni/a", "git_hub/uni/a", "\xff/uni/a",
	} {
		if p, err := ParsePattern(s); err == nil {
			t.Errorf("%q is taken for %v", s, p)
		} else if !strings.Contains(err.Error(), "HOST/OWNER/NAME") || p != (Pattern{}) {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
}

func TestCompile(t *testing.T) {
	good := func() Rule {
		return Rule{Name: "class", Who: Who{Groups: []string{"students"}}, What: what(t, "github.com/uni/course-*"), Access: daypass.Read, As: AsHub, Max: time.Hour}
	}
	for name, c := range map[string]struct {
		change func(*Rule)
		want   string // the field; "" is no error
	}{
		"good":               {func(r *Rule) {}, ""},
		"one user":           {func(r *Rule) { r.Who = Who{Users: []string{"ada"}} }, ""},
		"all users, a group": {func(r *Rule) { r.Who.Users = []string{"*"} }, ""},
		"exact":              {func(r *Rule) { r.What = what(t, "github.com/uni/course") }, ""},
		"hub nobody named":   {func(r *Rule) { r.Who = Who{} }, "who"},
		"hub all users":      {func(r *Rule) { r.Who = Who{Users: []string{"*"}} }, "who"},
		"hub all groups":     {func(r *Rule) { r.Who = Who{Groups: []string{"*"}} }, "who"},
		"hub one of all":     {func(r *Rule) { r.Who = Who{Groups: []string{"students", "*"}} }, "who"},
		"hub disguised":      {func(r *Rule) { r.Who = Who{Groups: []string{"?*"}, Users: []string{"**"}} }, "who"},
		"hub servers only":   {func(r *Rule) { r.Who = Who{Servers: []string{"gpu"}} }, "who"},
		"hub write":          {func(r *Rule) { r.Access = daypass.Write }, "access"},
		"hub no access":      {func(r *Rule) { r.Access = daypass.NoAccess }, "access"},
		"hub all repos":      {func(r *Rule) { r.What = what(t, "github.com/*/*") }, "what"},
		"hub owner's repos":  {func(r *Rule) { r.What = what(t, "github.com/uni/*") }, "what"},
		"hub any owner":      {func(r *Rule) { r.What = what(t, "github.com/*/course") }, "what"},
		"hub some owners":    {func(r *Rule) { r.What = what(t, "github.com/un?/course") }, "what"},
		"hub any host":       {func(r *Rule) { r.What = what(t, "*/uni/course") }, "what"},
		"hub disguised name": {func(r *Rule) { r.What = what(t, "github.com/uni/?*") }, "what"},
		"hub second pattern": {func(r *Rule) { r.What = what(t, "github.com/uni/a", "github.com/uni/*") }, "what"},
		"hub forbids":        {func(r *Rule) { r.Forbid, r.Max = true, 0 }, "as"},
		"no name":            {func(r *Rule) { r.Name = "" }, "name"},
		"a name's space":     {func(r *Rule) { r.Name = "a b" }, "name"},
		"a name's line":      {func(r *Rule) { r.Name = "a\nb" }, "name"},
		"a built-in name":    {func(r *Rule) { r.Name = Default }, "name"},
		"a built-in name 2":  {func(r *Rule) { r.Name = ReadOnly }, "name"},
		"a built-in name 3":  {func(r *Rule) { r.Name = Malformed }, "name"},
		"no what":            {func(r *Rule) { r.What = nil }, "what"},
		"zero pattern":       {func(r *Rule) { r.What = []Pattern{{}} }, "what"},
		"odd access":         {func(r *Rule) { r.Access = 7 }, "access"},
		"odd as":             {func(r *Rule) { r.As = 7 }, "as"},
		"no max":             {func(r *Rule) { r.Max = 0 }, "max"},
		"negative max":       {func(r *Rule) { r.Max = -time.Hour }, "max"},
		"short max":          {func(r *Rule) { r.Max = time.Second }, "max"},
		"long max":           {func(r *Rule) { r.Max = 366 * 24 * time.Hour }, "max"},
		"forbid with max":    {func(r *Rule) { r.Forbid, r.As = true, AsUser }, "max"},
		"forbid":             {func(r *Rule) { r.Forbid, r.As, r.Max, r.Access = true, AsUser, 0, 0 }, ""},
		"empty list":         {func(r *Rule) { r.Who.Users = []string{} }, "who"},
		"empty name":         {func(r *Rule) { r.Who.Groups = []string{"a", ""} }, "who"},
		"padded name":        {func(r *Rule) { r.Who.Servers = []string{" gpu"} }, "who"},
		"name's bytes":       {func(r *Rule) { r.Who.Users = []string{"\xff"} }, "who"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			c.change(&r)
			s, err := Compile([]Rule{r})
			if c.want == "" {
				if err != nil || s == nil {
					t.Error(err)
				}
				return
			}
			if err == nil || s != nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("rule 1, %q: %s: ", r.Name, c.want)) {
				t.Errorf("want a word about %s, got %v", c.want, err)
			}
		})
	}
	bad := good()
	bad.Max = 0
	_, err := Compile([]Rule{good(), bad, good()})
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "rule 3, \"class\": name: another") {
		t.Errorf("not each rule has its line: %v", err)
	}
}

// TestKept: what becomes of the rules after Compile does not matter.
func TestKept(t *testing.T) {
	r := allow(t, "x", Who{Groups: []string{"staff"}, Servers: []string{"gpu"}}, "github.com/uni/a")
	s := set(t, r)
	r.Who.Groups[0], r.Who.Servers[0], r.What[0] = "*", "*", what(t, "*/*/*")[0]
	if s.Decide(ask(nil)).Allowed {
		t.Error("the set changed behind its back")
	}
}

func TestExplain(t *testing.T) {
	rules := []Rule{
		allow(t, "bobs", Who{Users: []string{"bob"}}, "*/*/*"),
		allow(t, "staffs", Who{Groups: []string{"staff"}}, "*/*/*"),
		allow(t, "gpus", Who{Servers: []string{"gpu"}}, "*/*/*"),
		allow(t, "elsewhere", Who{}, "github.com/uni/other"),
		{Name: "reading", What: what(t, "*/*/*"), Access: daypass.Read, Max: time.Hour},
		{Name: "hubs", Who: Who{Users: []string{"ada"}}, What: what(t, "github.com/uni/course-1"), Access: daypass.Read, As: AsHub, Max: time.Hour},
		{Name: "never", Forbid: true, Access: daypass.Write, What: what(t, "github.com/uni/*")},
	}
	s := set(t, rules...)
	for _, c := range []struct {
		access daypass.Access
		want   []string
	}{
		{daypass.Read, []string{"user is not", "no group", "server is not", "repository is not", "! it allows read", "user and hub", "forbids writing only"}},
		{daypass.Write, []string{"user is not", "no group", "server is not", "repository is not", "allows reading only", "allows reading only", "! it forbids"}},
	} {
		steps := s.Explain(ask(func(q *Request) { q.Access = c.access }))
		if len(steps) != len(rules) {
			t.Fatalf("%d steps for %d rules", len(steps), len(rules))
		}
		for i, step := range steps {
			text, decides := strings.CutPrefix(c.want[i], "! ")
			if step.Rule != rules[i].Name || !strings.Contains(step.Why, text) || step.Decides != decides || step.Matched != decides || step.Forbid != rules[i].Forbid {
				t.Errorf("step %d: %+v, want %q", i, step, c.want[i])
			}
		}
	}
	last := s.Explain(ask(func(q *Request) { q.Access, q.Kind = daypass.Write, Dashboard }))
	if n := len(rules); len(last) != n+1 || last[n].Rule != ReadOnly || !last[n].Decides || last[n-1].Decides {
		t.Errorf("a dashboard: %+v", last)
	}
}

// A world is a small one, so that rules and requests meet often. It holds names
// that are nasty.
type world struct{ *rand.Rand }

func pick[T any](w world, from ...T) T { return from[w.IntN(len(from))] }

func (w world) some(from ...string) []string {
	var out []string
	for range max(0, w.IntN(5)-2) {
		out = append(out, pick(w, from...))
	}
	return out
}

func (w world) pattern(t testing.TB, hub bool) Pattern {
	s := pick(w, "github.com", "*", "*", "GITHUB.com", "*.com", "ghe.example") + "/" + pick(w, "uni", "*", "*", "u?i", "other") + "/" + pick(w, "*", "*", "course-*", "course-1", "exam")
	if hub {
		s = "github.com/uni/" + pick(w, "course-*", "exam", "c*1")
	}
	return what(t, s)[0]
}

func (w world) rule(t testing.TB, name string, forbid bool) Rule {
	r := Rule{Name: name, Forbid: forbid, Access: pick(w, daypass.Read, daypass.Write)}
	r.Who = Who{
		Users:   w.some("ada", "bob", "*", "a*", "*", "[a]", "A?A"),
		Groups:  w.some("staff", "students", "*", "s*", "x/*"),
		Servers: w.some("default", "gpu", "*", "g*"),
	}
	switch {
	case forbid:
		r.Access = pick(w, daypass.NoAccess, daypass.Read, daypass.Write)
	default:
		r.Max = time.Duration(1+w.IntN(4)) * time.Hour
		if w.IntN(3) == 0 {
			r.As, r.Access, r.Who.Users = AsHub, daypass.Read, []string{pick(w, "ada", "bob", "a*")}
		}
	}
	for range 1 + w.IntN(2) {
		r.What = append(r.What, w.pattern(t, r.As == AsHub))
	}
	return r
}

func (w world) rules(t testing.TB) []Rule {
	var out []Rule
	for i := range w.IntN(6) {
		out = append(out, w.rule(t, fmt.Sprint("r", i), w.IntN(4) == 0))
	}
	return out
}

func (w world) request() Request {
	return Request{
		User: pick(w, "ada", "bob", "*", "a/b", "Ada", "[a]"), Groups: w.some("staff", "students", "*", "x/y", "x/y/z", "S*"),
		Server: pick(w, daypass.Server{}, daypass.Server{Known: true}, daypass.Server{Known: true, Name: pick(w, "gpu", "GPU", "default", "*", "g/x")}),
		Kind:   pick(w, Own, Own, Own, Own, Own, Shared, Dashboard, NoKind), Host: pick(w, "github.com", "github.com", "GitHub.com", "ghe.example"),
		Repo:   daypass.Repo{Owner: pick(w, "uni", "UNI", "other"), Name: pick(w, "course-1", "course-1", "exam", "Exam", "course-2", "a/../b")},
		Access: pick(w, daypass.Read, daypass.Read, daypass.Write, daypass.Write, daypass.NoAccess), As: pick(w, AsUser, AsHub),
		For: pick(w, 0, time.Minute, 90*time.Minute, 24*time.Hour),
	}
}

// atMost reports whether v gives nothing that w does not.
func atMost(v, w Verdict) bool {
	return !v.Allowed || w.Allowed && v.Access <= w.Access && v.Max <= w.Max
}

const rounds = 10_000

// TestProperties holds the rules to what an admin may rely on, over many small
// worlds; it counts that they were no empty ones.
func TestProperties(t *testing.T) {
	w := world{rand.New(rand.NewPCG(3, 14))}
	var allowed, forbidden, grew, shrank int
	for range rounds {
		rules, q := w.rules(t), w.request()
		s := set(t, rules...)
		v := s.Decide(q)
		fail := func(what string, other Verdict) {
			t.Fatalf("%s:\nrules %+v\nrequest %+v\n%+v\n%+v", what, rules, q, v, other)
		}
		more := set(t, append(slices.Clone(rules), w.rule(t, "more", false))...).Decide(q)
		if !atMost(v, more) {
			fail("a rule that allows took away", more)
		}
		less := set(t, append(slices.Clone(rules), w.rule(t, "less", true))...).Decide(q)
		if !atMost(less, v) {
			fail("a rule that forbids gave", less)
		}
		shuffled := slices.Clone(rules)
		w.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if u := set(t, shuffled...).Decide(q); u != v {
			fail("the order plays a part", u)
		}
		joined := q
		joined.Groups = append(slices.Clone(q.Groups), pick(w, "staff", "students", "new"))
		groupless := !slices.ContainsFunc(rules, func(r Rule) bool { return r.Forbid && len(r.Who.Groups) > 0 })
		if u := s.Decide(joined); groupless && !atMost(v, u) {
			fail("to be in one more group took away", u)
		}
		for _, kind := range []ServerKind{Shared, Dashboard} {
			guest := q
			guest.Kind, guest.Access = kind, daypass.Write
			if s.Decide(guest).Allowed {
				fail("written in a strangers' server", s.Decide(guest))
			}
		}
		reader := q
		reader.Access = daypass.Read
		if u := s.Decide(reader); v.Allowed && !u.Allowed {
			fail("may write and not read", u)
		}
		check(t, s, rules, q, v, fail)
		switch {
		case v.Allowed:
			allowed++
		case !builtin(v.Rule):
			forbidden++
		}
		if more.Allowed && !v.Allowed {
			grew++
		}
		if v.Allowed && !less.Allowed {
			shrank++
		}
	}
	t.Logf("%d allowed, %d forbidden, %d grew, %d shrank of %d", allowed, forbidden, grew, shrank, rounds)
	if min(allowed, forbidden, grew, shrank) < rounds/100 {
		t.Error("the worlds are too empty to tell anything")
	}
}

// check holds a verdict to a second reading of the rules, plainly written, and
// to what Explain says.
func check(t *testing.T, s *Set, rules []Rule, q Request, v Verdict, fail func(string, Verdict)) {
	t.Helper()
	plain := Verdict{Allowed: false}
	forbids := false
	for _, r := range rules {
		if r.Forbid {
			forbids = forbids || plainly(r, q) && (r.Access != daypass.Write || q.Access == daypass.Write)
		} else if plainly(r, q) && r.As == q.As && r.Access >= q.Access {
			plain.Allowed, plain.Max = true, max(plain.Max, r.Max)
		}
	}
	good := q.Access != daypass.NoAccess && q.Kind != NoKind && !strings.Contains(q.Repo.Name, "/") && (q.Access == daypass.Read || q.Kind == Own)
	plain.Allowed = plain.Allowed && !forbids && good
	if q.For > 0 {
		plain.Max = min(plain.Max, q.For)
	}
	if plain.Allowed != v.Allowed || v.Allowed && (plain.Max != v.Max || v.Access != q.Access) {
		fail("a plain reading differs", plain)
	}
	decided := 0
	for _, step := range s.Explain(q) {
		if step.Decides {
			decided++
			if step.Rule != v.Rule || step.Why != v.Why || !step.Matched || step.Forbid == v.Allowed {
				t.Fatalf("explained as %+v, decided as %+v", step, v)
			}
		}
	}
	if decided != 1 {
		t.Fatalf("%d steps decide %+v", decided, s.Explain(q))
	}
}

func plainly(r Rule, q Request) bool {
	fold := func(s string) string { return s }
	if r.Forbid {
		fold = func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "|") }
	}
	in := func(list []string, names ...string) bool {
		for _, l := range list {
			for _, n := range names {
				ok, _ := path.Match(strings.ReplaceAll(fold(l), "[", `\[`), fold(n))
				if ok {
					return true
				}
			}
		}
		return len(list) == 0 || slices.Contains(list, "*")
	}
	server := in(r.Who.Servers, q.Server.String())
	if !q.Server.Known {
		server = r.Forbid || in(r.Who.Servers)
	} else if q.Server.Name == "default" && !r.Forbid {
		server = in(r.Who.Servers)
	}
	if !in(r.Who.Users, q.User) || !in(r.Who.Groups, q.Groups...) || !server {
		return false
	}
	return slices.ContainsFunc(r.What, func(p Pattern) bool {
		parts, have := strings.Split(p.String(), "/"), []string{q.Host, q.Repo.Owner, q.Repo.Name}
		for i := range parts {
			if ok, _ := path.Match(parts[i], strings.ToLower(have[i])); !ok {
				return false
			}
		}
		return true
	})
}

// reference is a matcher that tries everything.
func reference(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	switch c := pattern[0]; {
	case c == '*':
		return reference(pattern[1:], s) || s != "" && s[0] != '/' && reference(pattern, s[1:])
	case s == "":
		return false
	default:
		return (c == '?' && s[0] != '/' || c == s[0]) && reference(pattern[1:], s[1:])
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"github.com/uni/*", "*/*/*", "GitHub.com/u?i/a*b*c", "[::1]:8443/*/*", "github.com/uni/a/../../b", "a/b/c.git", "*.example/%2e/x"} {
		f.Add(s, "github.com", "uni", "course-1")
		f.Add(s, "[::1]:8443", "Uni", "a/../../b")
		f.Add(s, "x.example", "u", "abbcbc")
	}
	f.Fuzz(func(t *testing.T, text, host, owner, name string) {
		p, err := ParsePattern(text)
		if err != nil {
			return
		}
		if again, err := ParsePattern(p.String()); err != nil || again != p {
			t.Fatalf("%q is read as %v, and that as %v, %v", text, p, again, err)
		}
		if strings.Count(p.String(), "/") != 2 || strings.ContainsFunc(p.String(), func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '%' }) {
			t.Fatalf("%q is taken", text)
		}
		s := set(t, Rule{Name: "x", What: []Pattern{p}, Access: daypass.Read, Max: time.Hour})
		q := ask(func(q *Request) { q.Host, q.Repo = host, daypass.Repo{Owner: owner, Name: name} })
		v := s.Decide(q)
		if v.Rule == Malformed || len(text) > 60 {
			return
		}
		if want := reference(p.String(), daypass.FoldASCII(host+"/"+owner+"/"+name)); v.Allowed != want {
			t.Fatalf("%v of %s/%s/%s: %v", p, host, owner, name, v)
		}
		if v.Allowed && (strings.ContainsAny(owner+name, "/%\\") || host == "" || owner == "" || name == "") {
			t.Fatalf("%v took %q %q %q", p, host, owner, name)
		}
	})
}

func FuzzDecide(f *testing.F) {
	f.Add(uint64(1), "ada", "staff", "gpu", "github.com", "uni", "course-1", uint8(1), uint8(0), uint8(1), int64(0))
	f.Add(uint64(2), "*", "*", "*", "*", "*", "*", uint8(2), uint8(1), uint8(2), int64(-1))
	f.Add(uint64(3), "a\xff", "[", `\`, "GITHUB.COM", "uni/a", "..", uint8(3), uint8(2), uint8(9), int64(1)<<62)
	f.Fuzz(func(t *testing.T, seed uint64, user, group, server, host, owner, name string, access, as, kind uint8, wish int64) {
		w := world{rand.New(rand.NewPCG(seed, 1))}
		rules := w.rules(t)
		s := set(t, rules...)
		q := Request{
			User: user, Groups: []string{group}, Server: daypass.Server{Known: seed%2 == 0, Name: server}, Kind: ServerKind(kind), Host: host,
			Repo: daypass.Repo{Owner: owner, Name: name}, Access: daypass.Access(access), As: As(as), For: time.Duration(wish),
		}
		v := s.Decide(q)
		if v.Rule == "" || v.Why == "" || !v.Allowed && (v.Access != 0 || v.Max != 0) {
			t.Fatalf("half a verdict: %+v", v)
		}
		if v.Allowed && (v.Max <= 0 || wish > 0 && v.Max > time.Duration(wish) || v.Access != q.Access || access == 0 || access > 2 || as > 1 || access == 2 && q.Kind != Own) {
			t.Fatalf("%+v gets %+v", q, v)
		}
		decided := slices.DeleteFunc(s.Explain(q), func(step Step) bool { return !step.Decides })
		if len(decided) != 1 || decided[0].Rule != v.Rule {
			t.Fatalf("%+v is explained by %+v", v, decided)
		}
	})
}

func twenty(t testing.TB) *Set {
	rules := Preset()
	for i := range 15 {
		rules = append(rules, allow(t, fmt.Sprint("a", i), Who{Groups: []string{fmt.Sprint("class-", i, "-*"), "staff"}}, fmt.Sprint("github.com/uni-", i, "/course-*"), "github.com/*/shared"))
	}
	for i := range 4 {
		rules = append(rules, Rule{Name: fmt.Sprint("f", i), Forbid: true, Who: Who{Users: []string{fmt.Sprint("guest-", i, "*")}}, What: what(t, "github.com/uni/exam-*")})
	}
	return set(t, rules...)
}

func BenchmarkDecide(b *testing.B) {
	s := twenty(b)
	for name, change := range map[string]func(*Request){
		"allowed": func(q *Request) { q.Access = daypass.Write },
		"last":    func(q *Request) { q.As = AsHub },
		"folded": func(q *Request) {
			q.Groups, q.Repo.Owner = []string{"Course", "class-7", "class-14-b"}, "University-of-Somewhere"
		},
	} {
		q := ask(change)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(q)
			}
		})
	}
}

// TestAllocations: it is asked ten thousand times a second.
func TestAllocations(t *testing.T) {
	s, q := twenty(t), ask(nil)
	if n := testing.AllocsPerRun(100, func() { s.Decide(q) }); n > 3 {
		t.Errorf("%v allocations for a decision", n)
	}
}

// TestMaxPass: a pass is taken by the rules that take one of its whole life, and
// no two rules are put together to a wider one.
func TestMaxPass(t *testing.T) {
	long := allow(t, "long", Who{Groups: []string{"staff"}}, "github.com/uni/course-1")
	long.Max, long.MaxPass = 30*time.Minute, 30*24*time.Hour
	never := allow(t, "never", Who{Users: []string{"root"}}, "github.com/uni/*")
	never.MaxPass = NoEnd
	short := allow(t, "short", Who{Groups: []string{"guests"}}, "*/*/*")
	short.MaxPass = time.Hour
	forbid := Rule{Name: "no", Forbid: true, Who: Who{Groups: []string{"staff"}}, What: what(t, "github.com/uni/exam")}
	s := set(t, allow(t, "all", Who{Groups: []string{"students", "staff"}}, "*/*/*"), long, never, short, forbid)
	for name, c := range map[string]struct {
		user   string
		groups []string
		repo   string
		pass   time.Duration
		rule   string
		max    time.Duration
	}{
		"no pass":               {"ada", []string{"staff"}, "course-1", 0, "all", time.Hour},
		"a day":                 {"ada", []string{"students"}, "course-1", 24 * time.Hour, "all", time.Hour},
		"a second more":         {"ada", []string{"students"}, "course-1", 24*time.Hour + time.Second, Default, 0},
		"the other rule's life": {"ada", []string{"staff"}, "course-1", 30 * 24 * time.Hour, "long", 30 * time.Minute},
		"not for another":       {"ada", []string{"staff"}, "course-2", 30 * 24 * time.Hour, Default, 0},
		"an hour":               {"ada", []string{"guests"}, "x", time.Hour, "short", time.Hour},
		"eight hours":           {"ada", []string{"guests"}, "x", 8 * time.Hour, Default, 0},
		"no end":                {"root", nil, "x", NoEnd, "never", time.Hour},
		"no end, by another":    {"ada", []string{"staff"}, "course-1", NoEnd, Default, 0},
		"forbidden anyway":      {"ada", []string{"staff"}, "exam", time.Hour, "no", 0},
		"less than nothing":     {"ada", []string{"staff"}, "course-1", -1, Malformed, 0},
	} {
		q := ask(func(q *Request) { q.User, q.Groups, q.Repo.Name, q.Pass = c.user, c.groups, c.repo, c.pass })
		if v := s.Decide(q); v.Rule != c.rule || v.Max != c.max || v.Allowed && v.MaxPass < c.pass {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for _, c := range []struct {
		user   string
		groups []string
		want   time.Duration
	}{
		{"ada", nil, 0}, {"", []string{"staff"}, 0}, {"ada", []string{"guests"}, time.Hour}, {"ada", []string{"guests", "students"}, DefaultMaxPass},
		{"ada", []string{"staff"}, 30 * 24 * time.Hour}, {"root", nil, NoEnd},
	} {
		if got := s.LongestPass(c.user, c.groups); got != c.want {
			t.Errorf("%s in %q: %v, want %v", c.user, c.groups, got, c.want)
		}
	}
	if (*Set)(nil).LongestPass("ada", nil) != 0 || set(t, Preset()...).LongestPass("ada", nil) != DefaultMaxPass {
		t.Error("no rules, or the preset")
	}
	for _, bad := range []time.Duration{-time.Hour, time.Second, 366 * 24 * time.Hour, NoEnd - 1} {
		r := allow(t, "r", Who{}, "*/*/*")
		r.MaxPass = bad
		if _, err := Compile([]Rule{r}); err == nil || !strings.Contains(err.Error(), "max_pass: ") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	forbid.MaxPass = time.Hour
	if _, err := Compile([]Rule{forbid}); err == nil {
		t.Error("a rule that forbids, for an hour")
	}
}
