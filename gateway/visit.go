package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/pass"
)

// The gateway's own addresses. No devpi user's name begins with a plus; "_" may
// be one, and is hidden where there is an exchange, since PyPI's clients know no
// other address.
const (
	pathHealth   = "/+daypass/healthz"
	pathEnd      = "/+daypass/end"
	pathAudience = "/_/oidc/audience"
	pathMint     = "/_/oidc/mint-token"
)

// errNotServed is behind the refusal of what no pass does.
var errNotServed = errors.New("gateway: not for passes")

// statusGone is what a log says of a client that left before the answer.
const statusGone = 499

// An answer notes the status that was sent.
type answer struct {
	http.ResponseWriter
	status int
	code   string // of the refusal that was told; may be empty
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// A visit is one request, from its first line to its answer.
type visit struct {
	g    *Gateway
	a    *answer
	r    *http.Request
	in   *incoming
	id   string // of the request
	from netip.Addr

	cred  credential
	req   request
	act   action
	user  string // whose pass it is, once its signature was right
	shown *Shown // likewise
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w}
	v := &visit{g: g, a: a, r: r, in: newIncoming(a, r), id: g.ids.Next(), from: g.address(r)}
	began := time.Now()
	_ = v.in.rc.SetWriteDeadline(began.Add(idle + 10*time.Minute)) // moved with each piece; see copyOut
	defer v.note(began)
	defer v.recovered()
	at := place(v.from)
	if !g.atOnce.enter(at) {
		v.refuse(tooMuchAtOnce())
		return
	}
	defer g.atOnce.leave(at)
	if err := v.walk(); err != nil {
		v.refuse(err)
	}
}

// walk takes a request from its target to who answers it.
func (v *visit) walk() error {
	target := v.r.RequestURI
	if !strings.HasPrefix(target, "/") { // a proxy's form, with a host that counts for nothing
		target = v.r.URL.RequestURI()
	}
	target, ok := strings.CutPrefix(target, v.g.base)
	if !ok || !strings.HasPrefix(target, "/") {
		return nothingHere()
	}
	if serve := v.ownAddress(target); serve != nil {
		return serve()
	}
	var err error
	if v.req, err = parse(v.r.Method, target, v.r.Header, v.r.ContentLength); err != nil {
		return err
	}
	if v.cred, err = readCredential(v.r.Header, v.g.c.Mode); err != nil {
		return v.bad(err)
	}
	v.act = classify(v.req)
	switch {
	case v.act.class == blocked:
		return nobody()
	case v.act.class == login:
		return v.login()
	case v.act.class == own:
		return v.tokens()
	case v.cred.isPass():
		return v.byPass()
	}
	return v.ordinary()
}

func (v *visit) ownAddress(target string) func() error {
	path, _, _ := strings.Cut(target, "?")
	switch {
	case path == pathHealth:
		return v.health
	case v.g.c.Passes.EndShown != nil && path == pathEnd:
		return v.endShown
	case v.g.c.Exchange != nil && path == pathAudience:
		return v.audience
	case v.g.c.Exchange != nil && path == pathMint:
		return v.mint
	}
	return nil
}

// ordinary sends on what shows no pass: devpi decides.
func (v *visit) ordinary() error {
	s := v.sending()
	if v.in.open() {
		s.body, s.length = v.in, v.r.ContentLength
	}
	return v.forward(s)
}

// changed forgets what devpi said before.
func (v *visit) changed() {
	switch {
	case v.act.class == account && v.req.method == http.MethodDelete:
		v.userDeleted()
	case strings.HasPrefix(v.act.name, "index-"):
		v.g.indexes.drop(v.act.user + "/" + v.act.index)
	}
}

// sending is the request without body, and with the credentials that devpi may
// judge.
func (v *visit) sending() sending {
	s := sending{method: v.req.method, target: v.req.target(), header: onward(v.r.Header, v.cred.isPass())}
	for name, values := range v.cred.header {
		s.header[name] = values
	}
	return s
}

// userDeleted ends the passes of a user who was deleted, so that they do not
// open the account of whoever has the name next.
func (v *visit) userDeleted() {
	ctx := context.WithoutCancel(v.r.Context())
	user := v.act.user
	v.g.holders.drop(user)
	list, err := v.g.c.Passes.List(ctx, user)
	for _, t := range list {
		if _, e := v.g.c.Passes.End(ctx, user, t.ID, "the deletion of the user"); e != nil {
			err = e
		}
	}
	if err != nil {
		v.g.log.Error("the tokens of a deleted user could not be ended", "user", printable(user, 40), "error", err)
	}
}

// open checks a pass, and that it is shown as whose it is.
func (v *visit) open() error {
	now := v.g.c.Now()
	link := v.cred.pass.Link()
	if wait := v.g.strangers.wait(place(v.from), now); wait > 0 && !v.g.good.has(link, now) {
		return tooManyBad(wait)
	}
	shown, err := v.g.c.Passes.Open(v.r.Context(), v.cred.pass)
	var limit *pass.Refusal
	switch {
	case err == nil:
	case errors.As(err, &limit):
		return err
	case errors.Is(err, pass.ErrSignature):
		return v.bad(notAccepted())
	default:
		return err
	}
	v.g.good.add(link, now)
	v.shown, v.user = &shown, shown.User
	if v.cred.user != "" && v.cred.user != anyUser && v.cred.user != v.user {
		return otherUser()
	}
	return nil
}

// bad counts what is no pass against the address that it came from.
func (v *visit) bad(err error) error {
	if errors.Is(err, pass.ErrSignature) {
		v.g.strangers.take(place(v.from), v.g.c.Now())
	}
	return err
}

// byPass does what a pass allows. What it does not is noted, with why.
func (v *visit) byPass() error {
	if err := v.open(); err != nil {
		return v.denied(err)
	}
	facts, payload, err := v.decide()
	if err != nil {
		return v.denied(err)
	}
	if err := v.shown.Use(v.r.Context(), facts); err != nil {
		return v.denied(err)
	}
	if !v.act.read {
		if _, err := v.event(""); err != nil {
			return err
		}
	}
	s := v.sending()
	if s.auth, err = v.g.acting.auth(v.r.Context(), v.user); err != nil {
		return err
	}
	s.pass = true
	if v.act.name == "whoami" {
		return v.whoami(s)
	}
	if payload != nil {
		s.body, s.length = payload, payload.length
		s.broken = func() error {
			if f := payload.fault(); f != nil {
				return v.denied(f)
			}
			return nil
		}
		if payload.kind != "" {
			s.header["Content-Type"] = []string{payload.kind}
		}
	}
	return v.forward(s)
}

// judge finds everything that is known of a request and asks the pass.
func (v *visit) decide() (pass.Facts, *payload, error) {
	ctx := v.r.Context()
	if v.act.class != upstream {
		f, err := decide(v.g.c.Mode, v.act, v.shown.Rights, options{})
		return f, nil, errors.Join(err, errNotServed)
	}
	if err := v.mayAct(); err != nil {
		return pass.Facts{}, nil, err
	}
	act, body, err := v.act.open(v.req, v.in, v.g.c.Rand)
	if err != nil {
		return pass.Facts{}, nil, err
	}
	v.act = act
	facts, err := v.facts(v.g.c.Mode)
	if err == nil {
		err = v.shown.Check(facts)
	}
	if err != nil {
		return facts, nil, err
	}
	if v.g.c.Mode == Compat {
		v.compare()
	}
	if err := v.g.permitted(ctx, v.user, v.act); err != nil {
		return facts, nil, err
	}
	if v.act.upload && v.shown.Rights.Limited.Has(pass.KindDigest) {
		err = body.pin(v.shown.Rights.Digests.Names)
	}
	return facts, body, err
}

// mayAct asks whether the gateway may do anything for whoever shows the pass.
func (v *visit) mayAct() error {
	if !v.g.c.ActAsAdmins && (v.user == "root" || slices.Contains(v.g.c.Admins, v.user)) {
		return noAdmins(v.user)
	}
	return v.g.alive(v.r.Context(), v.shown)
}

// facts is what a pass is checked against. Where devpi could not be asked about
// an index's bases, that is the answer, and not that the pass does not allow it.
func (v *visit) facts(m Mode) (pass.Facts, error) {
	var unasked error
	f, err := decide(m, v.act, v.shown.Rights, options{
		listProjects: v.g.c.ListProjects, pushOut: v.g.c.PushOut,
		isBase: func(listed, index string) bool {
			ok, err := v.g.isBase(v.r.Context(), v.user, listed, index)
			if err != nil {
				unasked = err
			}
			return ok
		},
	})
	if unasked != nil {
		return f, unasked
	}
	f.Address = v.from
	f.SeesTo |= pass.KindUses
	return f, err
}

// compare tells the log what strict would refuse of what compat allows.
func (v *visit) compare() {
	f, err := v.facts(Strict)
	if err == nil {
		err = v.shown.Check(f)
	}
	if err == nil {
		return
	}
	v.g.log.Warn("strict would refuse this", "request", v.id, "user", printable(v.user, 40), "pass", printable(v.shown.ID, 40), "link", v.shown.Link,
		"action", v.act.name, "why", printable(judge(err).words(), 400))
}

// denied notes the refusal of a pass that is genuine, a few a minute for each.
func (v *visit) denied(err error) error {
	if v.shown == nil || errors.Is(err, errGone) {
		return err
	}
	ref := *judge(err)
	if ref.status >= 500 || ref.event != "" || !v.g.complaints.take(v.shown.User+"/"+v.shown.ID, v.g.c.Now()) {
		return &ref
	}
	id, e := v.event(ref.words())
	if e != nil {
		v.g.log.Error("a refusal could not be noted", "request", v.id, "error", e)
	}
	ref.event = id
	return &ref
}

func (v *visit) event(refused string) (string, error) {
	e := Event{
		User: v.user, ID: v.shown.ID, Link: v.shown.Link, Action: v.act.name, Indexes: v.act.indexes, Projects: v.act.projects,
		From: v.from, Refused: printable(refused, 400),
	}
	id, err := v.g.c.Passes.Event(context.WithoutCancel(v.r.Context()), e)
	if err != nil {
		return "", fmt.Errorf("gateway: an event could not be noted: %w", err)
	}
	return id, nil
}

// address is where a request comes from: the nearest address that is none of
// the configured proxies'. The zero Addr is a Unix socket's, and that of whom a
// proxy calls by something else than an address: the proxy's own would fit limits
// that are not meant for everybody behind it.
func (g *Gateway) address(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddr(host)
	if err != nil || !g.isProxy(at) {
		return at.Unmap()
	}
	said := r.Header["X-Forwarded-For"]
	if len(said) == 0 {
		return at.Unmap() // it asks by itself
	}
	for _, hop := range slices.Backward(strings.Split(strings.Join(said, ","), ",")) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return netip.Addr{}
		}
		if at = a.Unmap(); !g.isProxy(at) {
			break
		}
	}
	return at.Unmap()
}

func (g *Gateway) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(g.c.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// tell logs what the log's readers are promised: why devpi was of no use, and
// what stumbled.
func (v *visit) tell(ref *refusal) {
	if ref.status < 500 || ref.problem.Err == nil {
		return
	}
	v.g.log.Warn("a request got no answer of devpi", "request", v.id, "action", v.act.name, "code", ref.problem.Code, "cause", printable(ref.problem.Err.Error(), 400))
}

// note logs a request at the level debug: never its query or its credentials.
func (v *visit) note(began time.Time) {
	if !v.g.log.Enabled(v.r.Context(), slog.LevelDebug) {
		return
	}
	v.g.log.LogAttrs(context.WithoutCancel(v.r.Context()), slog.LevelDebug, "request", slog.String("request", v.id), slog.String("method", printable(v.r.Method, 16)),
		slog.String("action", v.act.name), slog.String("user", printable(v.user, 40)), slog.Int("status", v.a.status), slog.String("code", v.a.code),
		slog.Duration("took", time.Since(began)))
}

// recovered turns a panic into an answer; net/http's own report would hold what
// the panic held.
func (v *visit) recovered() {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	kind := "other"
	if e, ok := p.(interface{ RuntimeError() }); ok {
		kind = e.(error).Error()
	}
	v.g.log.Error("a request made the gateway stumble", "request", v.id, "action", v.act.name, "kind", kind)
	if v.a.status != 0 {
		panic(http.ErrAbortHandler)
	}
	v.refuse(errors.New("gateway: stumbled"))
}
