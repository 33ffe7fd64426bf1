package broker

import (
	"context"
	"errors"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// A Refusal is an answer of no that a person is told, with what helps them on.
type Refusal struct {
	Problem    *daypass.Problem
	Event      store.EventID // the line of the activity that holds it; may be empty
	Rule       string        // the rule that decided; may be empty
	Connect    bool          // what is missing is a connection: the next step is the page that makes one
	Host       string        // where, if whoever asked did not name it
	Approve    bool          // what is missing is a click on the page of one's access
	Passes     bool          // what helps on is the page of one's passes
	RetryAfter time.Duration // when it makes sense to ask again; 0: not by waiting
}

// builtIn names, for the activity, the rules that no admin writes and none can
// lift, by the code of the refusal. A refusal for another reason, such as a
// provider that does not answer, is by no rule.
var builtIn = map[string]string{
	"DP-723": "built-in:sources",
	"DP-724": "built-in:links",
	"DP-725": "built-in:links",
	"DP-726": "built-in:links",
	"DP-727": "built-in:links",
	"DP-728": "built-in:servers-only",
	"DP-729": "built-in:links",
	"DP-730": "built-in:links",
	"DP-731": "built-in:links",
	"DP-732": "built-in:links",
	"DP-733": "built-in:links",
	"DP-734": "built-in:sources",
	"DP-735": "built-in:sources",
	"DP-736": "built-in:sources",
	"DP-737": "built-in:own-right",
	"DP-738": "built-in:own-right",
	"DP-739": "built-in:links",
	"DP-741": "built-in:content-only",
	"DP-742": "built-in:own-server",
	"DP-744": "built-in:links",
	"DP-808": "built-in:one-app",
	"DP-811": "built-in:cut-off",
	"DP-812": "built-in:known-people",
	"DP-816": "built-in:connection",
	"DP-817": "built-in:connection",
	"DP-818": "built-in:servers-only",
	"DP-819": "built-in:one-repository",
	"DP-820": "built-in:served-hosts",
	"DP-821": "built-in:own-right",
	"DP-822": "built-in:pinned-name",
	"DP-823": "built-in:many-repositories",
	"DP-824": "built-in:content-app",
	"DP-825": "built-in:content-app",
	"DP-826": "built-in:browser-only",
	"DP-828": "built-in:one-consent",
	"DP-830": "built-in:one-account",
	"DP-831": "built-in:short-lived",
	"DP-834": "built-in:sharing",
	"DP-835": "built-in:sharing",
	"DP-837": "built-in:own-right",
	"DP-838": "built-in:pace",
	"DP-850": "built-in:write-click",
	"DP-160": "built-in:pass",
	"DP-161": "built-in:pass-limits",
	"DP-162": "built-in:pass-limits",
	"DP-163": "built-in:pass-limits",
	"DP-164": "built-in:pass-limits",
	"DP-166": "built-in:no-pass",
	"DP-167": "built-in:pass-life",
	"DP-168": "built-in:pass-life",
	"DP-169": "built-in:pass-life",
	"DP-170": "built-in:pass-servers",
	"DP-172": "built-in:pass-narrow",
	"DP-173": "built-in:known-people",
	"DP-175": "built-in:pass-number",
	"DP-839": "built-in:one-account",
}

// Error is the problem's message.
func (r *Refusal) Error() string { return r.Problem.Error() }

// Unwrap returns the problem, whose kind says what sort of no it is.
func (r *Refusal) Unwrap() error { return r.Problem }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func storeProblem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	var p *daypass.Problem
	if errors.As(err, &p) {
		return err
	}
	return &Refusal{RetryAfter: 5 * time.Second, Problem: &daypass.Problem{
		Code: "DP-813", What: "the access service cannot use its store at the moment",
		Next: "Try again in a minute. Your work is safe.", Who: "The hub's admins see why in the service's log.",
		Kind: daypass.ErrUnreachable, Err: err,
	}}
}

func hubProblem(err error) error {
	return &Refusal{RetryAfter: 5 * time.Second, Problem: &daypass.Problem{
		Code: "DP-814", What: "the hub cannot be reached, so nobody can say who you are",
		Next: "Try again in a minute. Your work is safe, and what this machine has goes on working.",
		Kind: daypass.ErrUnreachable, Err: err,
	}}
}

// providerProblem says that a provider did not answer usefully.
func providerProblem(host string, err error) error {
	retry := 10 * time.Second
	var limited daypass.Limited
	if errors.As(err, &limited) {
		retry = max(limited.RetryAfter(), time.Second)
	}
	var p *daypass.Problem
	if errors.As(err, &p) && errors.Is(p, daypass.ErrRefused) {
		return &Refusal{Problem: p}
	}
	why := "it does not answer, or answers with errors"
	if errors.Is(err, daypass.ErrLimited) {
		why = "it asks us to slow down"
	}
	return &Refusal{RetryAfter: retry, Problem: &daypass.Problem{
		Code: "DP-815", What: host + " gives no access at the moment", Why: why,
		Next: "Try again in a minute. Your work is safe: commits stay on this machine.",
		Kind: daypass.ErrUnreachable, Err: err,
	}}
}

func notConnected(host, why string) *Refusal {
	p := &daypass.Problem{
		Code: "DP-816", What: host + " is not connected yet", Why: why,
		Next: "Connect it on the page of your access, then push again.", Kind: daypass.ErrNoLogin,
	}
	if why != "" {
		p.Code, p.What = "DP-817", host+" has to be connected again"
	}
	return &Refusal{Problem: p, Connect: true}
}

func denied(host, rule, why string) *Refusal {
	next := "Ask the hub's admins, and name the event."
	if rule != "default" {
		next = "Ask the hub's admins, and name the rule and the event."
	}
	return &Refusal{Rule: rule, Problem: &daypass.Problem{
		Code: "DP-810", What: "the rules of this hub do not give this access at " + host, Why: why, Next: next, Kind: daypass.ErrRefused,
	}}
}
