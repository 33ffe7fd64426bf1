package exchange

import (
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// claims are a token's, by their exact names.
type claims map[string]json.RawMessage

// text is a claim that is a text, or a number, which GitLab writes some ids as.
func (c claims) text(name string) (string, bool) {
	raw := c[name]
	if len(raw) == 0 || string(raw) == "null" {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	var n uint64
	if json.Unmarshal(raw, &n) == nil {
		return strconv.FormatUint(n, 10), true
	}
	return "", false
}

func (c claims) str(name string) string {
	s, _ := c.text(name)
	return s
}

// number is an id: digits, without a sign or a leading zero.
func (c claims) number(name string) uint64 {
	s := c.str(name)
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0
	}
	return n
}

func (c claims) time(name string) (time.Time, bool) {
	var n float64
	if raw := c[name]; len(raw) == 0 || json.Unmarshal(raw, &n) != nil || !(n > 0 && n < math.MaxInt32*2) {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0), true
}

// yes is a claim that says true; both vendors write it as a text.
func (c claims) yes(name string) bool {
	var b bool
	return c.str(name) == "true" || json.Unmarshal(c[name], &b) == nil && b
}

// A job is who asks, as the issuer says, in one form for all issuers.
type job struct {
	issuer *issuer
	says   string // safe to print
	id     string // jti; "" of a hub's server
	until  time.Time

	project, owner uint64 // numbers that the issuer never gives twice
	ref            string // whole: refs/heads/main
	protected      bool
	environment    string
	guarded        bool   // the environment is protected; GitLab says so
	workflow       string // the file, in the job's own repository; "" where it is another's
	foreign        string // the whole workflow_ref, where the job's own code is another repository's
	event          string
	pull           bool // somebody outside may have set it off

	user   string // of a hub's server
	groups []string
	server daypass.Server
}

func (c claims) job(is *issuer) (job, error) {
	j := job{issuer: is, id: c.str("jti"), environment: c.str("environment"), guarded: c.yes("environment_protected"), protected: c.yes("ref_protected")}
	j.until, _ = c.time("exp")
	if j.id == "" || len(j.id) > 256 {
		return job{}, badToken("it has no jti, so that it could be used twice", nil)
	}
	var name string
	if is.kind == GitHub {
		name = c.github(&j)
	} else {
		name = c.gitlab(&j)
	}
	if j.project == 0 || j.owner == 0 {
		return job{}, badToken("it does not say by number which repository it is for", nil)
	}
	j.says = printable(name + " (number " + strconv.FormatUint(j.project, 10) + ", owner " + strconv.FormatUint(j.owner, 10) + "), event " +
		j.event + ", ref " + j.ref + ", workflow " + whole(j) + ", environment " + orNone(j.environment))
	return j, nil
}

func whole(j job) string {
	if j.foreign != "" {
		return j.foreign
	}
	return orNone(j.workflow)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// github reads GitHub's claims. workflow_ref is the file that was set off,
// job_workflow_ref the one whose steps run: another where a reusable workflow is
// called, and then its code has the token too.
func (c claims) github(j *job) string {
	repo := c.str("repository")
	j.project, j.owner = c.number("repository_id"), c.number("repository_owner_id")
	j.ref, j.event = c.str("ref"), c.str("event_name")
	j.pull = strings.HasPrefix(j.event, "pull_request") || j.event == "workflow_run" ||
		c.str("head_ref") != "" || c.str("base_ref") != "" || strings.HasPrefix(j.ref, "refs/pull/")
	set, runs := c.str("workflow_ref"), c.str("job_workflow_ref")
	if set == "" {
		set = runs
	}
	if runs != "" && runs != set {
		j.foreign = runs
	}
	j.workflow = fileOf(set, repo+"/", j.ref)
	return repo
}

// gitlab reads GitLab's claims: ref has no "refs/" there, and ref_path tells a
// merge request's from a branch. A GitLab before 16.0 has none, and counts as one.
// Where the job runs in another project than it speaks for, it is a fork's merge
// request too (GitLab's issue 563038).
func (c claims) gitlab(j *job) string {
	repo := c.str("project_path")
	j.project, j.owner = c.number("project_id"), c.number("namespace_id")
	j.event = c.str("pipeline_source")
	switch c.str("ref_type") {
	case "branch":
		j.ref = "refs/heads/" + c.str("ref")
	case "tag":
		j.ref = "refs/tags/" + c.str("ref")
	}
	path := c.str("ref_path")
	j.pull = j.event == "merge_request_event" || j.event == "external_pull_request_event" || path != j.ref || strings.HasPrefix(path, "refs/merge-requests/")
	if path != j.ref {
		j.ref = path
	}
	if in, ok := c.text("job_project_id"); ok && in != c.str("project_id") {
		j.pull = true
	}
	uri := c.str("ci_config_ref_uri")
	host := ""
	if u, err := url.Parse(j.issuer.url); err == nil {
		host = u.Host
	}
	if j.workflow = fileOf(uri, host+"/"+repo+"//", j.ref); j.workflow == "" {
		j.foreign = uri
	}
	return repo
}

// fileOf takes the file out of "PREFIX FILE @ REF", all of which has to be as the
// other claims say.
func fileOf(text, prefix, ref string) string {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || ref == "" {
		return ""
	}
	file, ok := strings.CutSuffix(rest, "@"+ref)
	if !ok {
		return ""
	}
	return file
}
