package exchange

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Rule gives a pass to one repository's jobs, or to servers of a hub, as the
// configuration has it. All that it says has to fit.
type Rule struct {
	Name   string `yaml:"name"`
	Issuer string `yaml:"issuer"` // its name

	// The repository by number, which no other gets when a name is given away:
	// the claims repository_id and repository_owner_id, or project_id and
	// namespace_id.
	RepositoryID      uint64 `yaml:"repository_id"`
	RepositoryOwnerID uint64 `yaml:"repository_owner_id"`
	ProjectID         uint64 `yaml:"project_id"`
	NamespaceID       uint64 `yaml:"namespace_id"`

	// Ref is whole ("refs/heads/main"). "refs/tags/v*" is every protected tag that
	// begins so: whoever may push a tag could otherwise make one that fits.
	Ref         string `yaml:"ref"`
	Environment string `yaml:"environment"`
	// Workflow is the file in the repository: ".github/workflows/release.yml",
	// ".gitlab-ci.yml". Its ref is that of the job.
	Workflow string `yaml:"workflow"`
	// JobWorkflow is the whole claim, with its ref, where the job's code is
	// another repository's: job_workflow_ref or ci_config_ref_uri.
	JobWorkflow string `yaml:"job_workflow"`
	// Events are the claim event_name, or pipeline_source.
	Events []string `yaml:"events"`
	// PullRequests lets in what somebody outside may set off.
	PullRequests bool `yaml:"pull_requests"`

	// Of a hub: whose servers, and which. "default" is the one without a name.
	Users   []string `yaml:"users"`
	Groups  []string `yaml:"groups"`
	Servers []string `yaml:"servers"`

	Gives Gives `yaml:"gives"`
}

// Gives is what a rule gives: one of Index and Hub.
type Gives struct {
	For   time.Duration `yaml:"for"` // 0: MaxLife
	Index *IndexText    `yaml:"index"`
	Hub   *HubText      `yaml:"hub"`
}

// An IndexText is a pass at the package index, as a rule has it. Without a User
// it is that of whoever's server it is, and "/dev" among the Indexes is theirs.
type IndexText struct {
	User     string   `yaml:"user"`
	Indexes  []string `yaml:"indexes"`
	Projects []string `yaml:"projects"`
	Allowed  []string `yaml:"allowed"` // nil: upload
}

// A HubText is a pass at the access service, as a rule has it.
type HubText struct {
	As      string   `yaml:"as"`
	Hosts   []string `yaml:"hosts"`
	Repos   []string `yaml:"repos"`
	Access  string   `yaml:"access"` // "read" or "write"
	Sources []string `yaml:"sources"`
}

type rule struct {
	text   Rule
	issuer *issuer
	life   time.Duration
	access daypass.Access
}

func compile(text Rule, kinds map[string]*issuer) (*rule, error) {
	r := &rule{text: text, issuer: kinds[text.Issuer], life: text.Gives.For}
	if text.Name == "" {
		return nil, errors.New("name is missing")
	}
	if r.issuer == nil {
		return nil, fmt.Errorf("issuer %s is not among the issuers", strconv.QuoteToASCII(text.Issuer))
	}
	check := r.ciMisses
	if r.issuer.kind == JupyterHub {
		check = r.hubMisses
	}
	if missing := check(); len(missing) > 0 {
		return nil, errors.New(strings.Join(missing, ", and "))
	}
	if r.life == 0 {
		r.life = MaxLife
	}
	if r.life < time.Minute || r.life > MaxLife {
		return nil, errors.New("gives.for is between 1m and 15m")
	}
	return r, r.checkGives()
}

// ciMisses names what a rule about a CI system lacks, or has too much of.
func (r *rule) ciMisses() []string {
	t, gh := r.text, r.issuer.kind == GitHub
	var out []string
	need := func(ok bool, what string) {
		if !ok {
			out = append(out, what)
		}
	}
	if gh {
		need(t.RepositoryID != 0, "repository_id is missing: names pass to others")
		need(t.RepositoryOwnerID != 0, "repository_owner_id is missing")
		need(t.ProjectID == 0 && t.NamespaceID == 0, "project_id and namespace_id are GitLab's")
	} else {
		need(t.ProjectID != 0, "project_id is missing: names pass to others")
		need(t.NamespaceID != 0, "namespace_id is missing")
		need(t.RepositoryID == 0 && t.RepositoryOwnerID == 0, "repository_id and repository_owner_id are GitHub's")
	}
	need(t.Ref != "" || t.Environment != "", "ref or environment is missing")
	need(t.Ref == "" || goodRef(t.Ref), "ref is whole, such as refs/heads/main, or refs/tags/v* for protected tags")
	need(t.Workflow != "" || t.JobWorkflow != "", "workflow is missing: the file, such as .github/workflows/release.yml")
	need(len(t.Events) > 0, "events is missing: such as [push]")
	for _, e := range t.Events {
		need(e != "" && !strings.ContainsAny(e, "*? "), "events are whole names: "+strconv.QuoteToASCII(e)+" is none")
		need(t.PullRequests || !outside(e), "the event "+strconv.QuoteToASCII(e)+" needs pull_requests: true, because people outside can set it off")
	}
	for key, text := range map[string]string{"environment": t.Environment, "workflow": t.Workflow, "job_workflow": t.JobWorkflow} {
		need(!strings.ContainsAny(text, "*?"), key+" is whole; nothing stands for anything there")
	}
	need(t.JobWorkflow == "" || strings.Contains(t.JobWorkflow, "@"), "job_workflow ends with its ref: …@refs/tags/v1, or a commit")
	need(t.Users == nil && t.Groups == nil && t.Servers == nil, "users, groups and servers are a hub's")
	slices.Sort(out)
	return out
}

// outside reports whether an event can be set off by people who may not write to
// the repository. workflow_run follows any workflow, a pull request's too; whoever
// can read a public repository may star, fork, and write to its issues
// (GitHub, "Events that trigger workflows").
func outside(event string) bool {
	return strings.HasPrefix(event, "pull_request") || strings.HasPrefix(event, "discussion") || slices.Contains(outsiders, event)
}

var outsiders = []string{"workflow_run", "issues", "issue_comment", "watch", "fork", "merge_request_event", "external_pull_request_event"}

func goodRef(ref string) bool {
	body, star := strings.CutSuffix(ref, "*")
	if strings.ContainsAny(body, "*?[\\ ") || !strings.HasPrefix(body, "refs/") {
		return false
	}
	if star {
		return strings.HasPrefix(body, "refs/tags/") || strings.HasPrefix(body, "refs/heads/")
	}
	return len(body) > len("refs/") && !strings.HasSuffix(body, "/")
}

func (r *rule) hubMisses() []string {
	t := r.text
	var out []string
	if len(t.Users) == 0 && len(t.Groups) == 0 {
		out = append(out, "users or groups is missing: whose servers")
	}
	if len(t.Servers) == 0 {
		out = append(out, `servers is missing: their names; "default" is the one without a name`)
	}
	for _, list := range [][]string{t.Users, t.Groups, t.Servers} {
		for _, name := range list {
			if name == "" || strings.ContainsAny(name, "*?") {
				out = append(out, "names are whole: "+strconv.QuoteToASCII(name)+" is none")
			}
		}
	}
	if t.RepositoryID|t.RepositoryOwnerID|t.ProjectID|t.NamespaceID != 0 || t.Ref+t.Environment+t.Workflow+t.JobWorkflow != "" || t.Events != nil || t.PullRequests {
		out = append(out, "a rule about a hub's servers has no repository, ref, environment, workflow or events")
	}
	return out
}

func (r *rule) checkGives() error {
	g := r.text.Gives
	if (g.Index == nil) == (g.Hub == nil) {
		return errors.New("gives has one of index and hub")
	}
	if g.Hub != nil {
		return r.checkHub(g.Hub)
	}
	switch i := g.Index; {
	case i.User == "root":
		return errors.New("gives.index.user: nothing is given as root")
	case i.User == "" && r.issuer.kind != JupyterHub:
		return errors.New("gives.index.user is missing")
	case len(i.Indexes) == 0:
		return errors.New("gives.index.indexes is missing: [USER/INDEX]")
	case i.Projects != nil && len(i.Projects) == 0 || i.Allowed != nil && len(i.Allowed) == 0:
		return errors.New("gives.index: an empty list gives nothing")
	}
	for _, name := range g.Index.Indexes {
		user, index, ok := strings.Cut(name, "/")
		if !ok || index == "" || strings.ContainsAny(name, "*?, ") || strings.Contains(index, "/") || user == "" && g.Index.User != "" {
			return fmt.Errorf("gives.index.indexes: %s is not USER/INDEX", strconv.QuoteToASCII(name))
		}
	}
	return nil
}

func (r *rule) checkHub(h *HubText) error {
	r.access = daypass.ParseAccess(h.Access)
	switch {
	case h.As == "":
		return errors.New("gives.hub.as is missing: whose pass it is")
	case len(h.Repos) == 0 && len(h.Sources) == 0:
		return errors.New("gives.hub.repos is missing")
	case len(h.Repos) > 0 && len(h.Sources) > 0:
		return errors.New("gives.hub has one of repos and sources: no request is about both, so that the pass would be good for none; write two rules")
	case len(h.Repos) > 0 && len(h.Hosts) == 0:
		return errors.New("gives.hub.hosts is missing: which git host")
	case r.access == daypass.NoAccess:
		return errors.New("gives.hub.access is read or write")
	}
	return nil
}

// about reports whether the rule is about the job's repository, or its person.
func (r *rule) about(j job) bool {
	t := r.text
	switch r.issuer.kind {
	case GitHub:
		return t.RepositoryID == j.project && t.RepositoryOwnerID == j.owner
	case GitLab:
		return t.ProjectID == j.project && t.NamespaceID == j.owner
	}
	return slices.Contains(t.Users, j.user) || slices.ContainsFunc(j.groups, func(g string) bool { return slices.Contains(t.Groups, g) })
}

// misses names the keys of the rule that do not fit a job that it is about.
func (r *rule) misses(j job) []string {
	t := r.text
	if r.issuer.kind == JupyterHub {
		if !j.server.Known || !slices.Contains(t.Servers, serverName(j.server)) {
			return []string{"servers"}
		}
		return nil
	}
	var out []string
	need := func(ok bool, key string) {
		if !ok {
			out = append(out, key)
		}
	}
	need(!j.pull || t.PullRequests, "pull_requests (people outside can set this off)")
	need(slices.Contains(t.Events, j.event), "events")
	need(t.Ref == "" || refFits(t.Ref, j), "ref")
	need(t.Environment == "" || j.environment != "" && sameEnvironment(r.issuer.kind, t.Environment, j.environment), "environment")
	// At GitLab whoever may push a branch writes there which environment its job has.
	need(t.Ref != "" || r.issuer.kind != GitLab || j.guarded, "environment (it is not protected, and the rule names no ref)")
	need(t.Workflow == "" || t.Workflow == j.workflow, "workflow")
	need(t.JobWorkflow == j.foreign, "job_workflow")
	return out
}

// serverName writes a server as rules do. One that somebody called "default" is
// not the default one.
func serverName(s daypass.Server) string {
	switch s.Name {
	case "":
		return "default"
	case "default":
		return ""
	}
	return s.Name
}

func refFits(want string, j job) bool {
	if begin, star := strings.CutSuffix(want, "*"); star {
		return j.protected && !j.pull && strings.HasPrefix(j.ref, begin)
	}
	return want == j.ref
}

// sameEnvironment compares names of environments: GitHub's are without regard to
// case ("Managing environments for deployment"), GitLab's are not.
func sameEnvironment(kind, a, b string) bool {
	if kind == GitHub {
		a, b = lowerASCII(a), lowerASCII(b)
	}
	return a == b
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// grant writes out what the rule gives to a job that it fits.
func (r *rule) grant(j job) (Grant, error) {
	g := Grant{Rule: r.text.Name, Issuer: r.issuer.name, Job: j.says, For: r.life}
	if h := r.text.Gives.Hub; h != nil {
		g.Hub = &Hub{As: h.As, Hosts: h.Hosts, Repos: h.Repos, Access: r.access, Sources: h.Sources}
		return g, nil
	}
	text := r.text.Gives.Index
	g.Index = &Index{User: text.User, Projects: text.Projects, Allowed: text.Allowed}
	if text.User == "" {
		if !devpiName(j.user) || j.user == "root" {
			return Grant{}, refuse("invalid-publisher", "DP-189", "there is no user of the index for this server",
				"the name of its person at the hub cannot be one there", "", j, r.text.Name)
		}
		g.Index.User = j.user
	}
	if text.Allowed == nil {
		g.Index.Allowed = []string{"upload"}
	}
	for _, name := range text.Indexes {
		if name[0] == '/' {
			name = g.Index.User + name
		}
		g.Index.Indexes = append(g.Index.Indexes, name)
	}
	return g, nil
}

// devpiName reports whether a name can be a user's of devpi without meaning
// anything else in an address or a limit.
func devpiName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' || s[0] == '.' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}
