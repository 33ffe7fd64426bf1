package fake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	apiVersion = "2022-11-28"
	docsURL    = "https://docs.github.com/rest"
)

// A call is one request to the API.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	api  string // address of the API
	web  string // address of the web face
	tok  *token // nil without credentials
	user *User  // whose token it is
	app  *App   // which App came as itself, with its JWT or its secret

	counted *bucket // against which it was counted, if any
	limit   int
}

// reads reports whether the call changes nothing.
func (c *call) reads() bool { return c.r.Method == http.MethodGet || c.r.Method == http.MethodHead }

// serveAPI answers a request whose path, below the API's address, is path.
// It holds g.mu until the answer is written: answers are small.
func (g *GitHub) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := w.Header()
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Api-Version-Selected", apiVersion)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
	h.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
	c := &call{w: w, r: r, api: g.apiURL(r), web: g.webURL(r)}
	if !c.acceptable() {
		return
	}
	if path == "/credentials/revoke" && (g.kind != EnterpriseServer || g.sw.RevokeEndpoint) {
		g.serveRevoke(c)
		return
	}
	if parts := pathParts(path); parts[0] == "applications" {
		g.serveApplication(c, parts)
		return
	}
	if !g.authenticated(c) {
		return
	}
	if path == "/rate_limit" {
		g.serveRateLimit(c)
		return
	}
	if g.limited(c) {
		return
	}
	g.routeAPI(c, path)
}

// authenticated finds out who calls, and answers where the credentials are
// bad. A call without any is authenticated as nobody.
func (g *GitHub) authenticated(c *call) bool {
	scheme, _, secret := authorization(c.r)
	if scheme == "" {
		return true
	}
	if looksLikeJWT(secret) {
		app, wrong := g.appOfJWT(secret)
		if wrong != "" {
			g.countAnonymous(c)
			c.failJWT(wrong)
			return false
		}
		c.app = app
		return true
	}
	if c.tok = g.live(secret); c.tok == nil {
		g.countAnonymous(c)
		c.fail(http.StatusUnauthorized, "Bad credentials", docsURL)
		return false
	}
	c.user = g.userNamed(c.tok.user)
	if c.tok.app.Kind == OAuthApp {
		h := c.w.Header()
		h.Set("X-OAuth-Scopes", strings.Join(c.tok.scopes, ", "))
		h.Set("X-Accepted-OAuth-Scopes", "")
		h.Set("X-OAuth-Client-Id", c.tok.app.ClientID)
	}
	return true
}

func pathParts(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

// acceptable refuses what GitHub refuses before it looks at the path:
// docs.github.com, "Getting started with the REST API" and "API Versions".
func (c *call) acceptable() bool {
	if c.r.Header.Get("User-Agent") == "" {
		c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		c.w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(c.w, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.\n")
		return false
	}
	switch v := c.r.Header.Get("X-GitHub-Api-Version"); v {
	case "", apiVersion, "2026-03-10":
		if v != "" {
			c.w.Header().Set("X-GitHub-Api-Version-Selected", v)
		}
		return true
	}
	c.fail(http.StatusBadRequest, "The requested API version is not supported.", docsURL+"/about-the-rest-api/api-versions")
	return false
}

func (g *GitHub) routeAPI(c *call, path string) {
	parts := pathParts(path)
	switch {
	case parts[0] == "app" && g.routeApp(c, parts):
	case len(parts) == 2 && parts[0] == "installation":
		g.serveInstallation(c, parts[1])
	case !c.reads():
		c.notFound("")
	case path == "/user":
		g.serveUser(c)
	case path == "/user/installations":
		g.serveInstallations(c)
	case len(parts) == 4 && parts[0] == "user" && parts[1] == "installations" && parts[3] == "repositories":
		g.serveInstallationRepos(c, parts[2])
	case len(parts) >= 3 && parts[0] == "repos":
		r, moved := g.repoNamed(parts[1]+"/"+parts[2]), false
		if r == nil {
			r, moved = g.renamed(parts[1]+"/"+parts[2]), true
		}
		g.routeRepo(c, r, moved, parts[3:])
	case len(parts) >= 2 && parts[0] == "repositories":
		var r *Repo
		if n, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
			r = g.repoWith(n)
		}
		g.routeRepo(c, r, false, parts[2:])
	case len(parts) == 3 && (parts[0] == "orgs" || parts[0] == "users") && parts[2] == "installation":
		g.serveAccountInstallation(c, parts[1], parts[0] == "orgs")
	case len(parts) == 2 && parts[0] == "apps":
		g.serveApp(c, parts[1])
	case path == "/meta":
		g.serveMeta(c)
	default:
		c.notFound("")
	}
}

// routeRepo answers what is asked of a repository; r is nil where there is
// none, and moved says that it was asked for by an old name.
func (g *GitHub) routeRepo(c *call, r *Repo, moved bool, rest []string) {
	switch {
	case len(rest) == 0:
		g.serveRepo(c, r, moved)
	case len(rest) == 1 && rest[0] == "installation":
		g.serveRepoInstallation(c, r, moved)
	case len(rest) == 3 && rest[0] == "collaborators" && rest[2] == "permission":
		g.serveCollaborator(c, r, rest[1], moved)
	default:
		c.notFound("")
	}
}

// reply answers with v. What is read carries an ETag; who shows it again and
// is known gets 304, which does not count: docs.github.com, "Best practices
// for using the REST API", "Use conditional requests if appropriate".
func (c *call) reply(status int, v any) {
	h := c.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if !c.reads() || status != http.StatusOK {
		writeJSON(c.w, status, v)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(c.w, err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(body)
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	h.Set("ETag", tag)
	if matches(c.r.Header.Get("If-None-Match"), tag) {
		if c.counted != nil && (c.tok != nil || c.app != nil) {
			c.counted.used--
			c.limitHeaders(c.counted, c.limit)
		}
		h.Del("Content-Type")
		c.w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	c.w.Write(body)
}

// matches is the weak comparison of RFC 9110, section 13.1.2.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func (c *call) fail(status int, message, docs string) {
	c.reply(status, map[string]any{"message": message, "documentation_url": docs, "status": strconv.Itoa(status)})
}

func (c *call) notFound(docs string) {
	c.fail(http.StatusNotFound, "Not Found", docsURL+docs)
}

// needUser answers 401 where nobody has authenticated, and 403 where an App
// has that acts for nobody.
func (c *call) needUser(docs string) bool {
	if c.tok != nil && c.tok.install != 0 {
		c.fail(http.StatusForbidden, "Resource not accessible by integration", docsURL+docs)
		return false
	}
	if c.user == nil {
		c.fail(http.StatusUnauthorized, "Requires authentication", docsURL+docs)
		return false
	}
	return true
}

func (g *GitHub) serveUser(c *call) {
	if c.needUser("/users/users#get-the-authenticated-user") {
		c.reply(http.StatusOK, g.userJSON(c))
	}
}

// seen reports which repositories of an installation the token's user has
// explicit access to and the token reaches.
func (g *GitHub) seen(t *token, i *Installation) []*Repo {
	var out []*Repo
	if t.target != "" && !strings.EqualFold(t.target, i.Account) {
		return nil
	}
	for _, r := range g.index.owned[strings.ToLower(i.Account)] {
		if covers(i, r) && userAccess(t.user, r, true) > AccessNone && t.within(r.ID) {
			out = append(out, r)
		}
	}
	return out
}

func (g *GitHub) serveInstallations(c *call) {
	const docs = "/apps/installations#list-app-installations-accessible-to-the-user-access-token"
	if !c.needUser(docs) {
		return
	}
	if c.tok.app.Kind == OAuthApp {
		c.fail(http.StatusForbidden, "You must authenticate with an access token authorized to a GitHub App in order to list installations", docsURL+docs)
		return
	}
	list := []any{}
	var hidden []string
	for _, i := range g.around(c.tok.app, c.tok.user) {
		if len(g.seen(c.tok, i)) == 0 && (c.tok.limited() || !strings.EqualFold(i.Account, c.tok.user)) {
			continue
		}
		if o := g.ssoMissing(c.tok, i.Account); o != nil {
			hidden = append(hidden, strconv.FormatInt(o.ID, 10))
			continue
		}
		list = append(list, g.installationJSON(c, g.appOf(c.tok), i))
	}
	if len(hidden) > 0 {
		c.w.Header().Set("X-GitHub-SSO", "partial-results; organizations="+strings.Join(hidden, ","))
	}
	c.reply(http.StatusOK, map[string]any{"total_count": len(list), "installations": c.page(list)})
}

func (g *GitHub) serveInstallationRepos(c *call, id string) {
	const docs = "/apps/installations#list-repositories-accessible-to-the-user-access-token"
	if !c.needUser(docs) {
		return
	}
	inst := g.installationNumbered(c.tok.app, id)
	if inst == nil {
		c.notFound(docs)
		return
	}
	if o := g.ssoMissing(c.tok, inst.Account); o != nil {
		g.failSSO(c, o, docs)
		return
	}
	if !inst.SuspendedAt.IsZero() {
		// An App cannot use the resources of an account that suspended it:
		// docs.github.com, "Suspending a GitHub App installation". The words
		// are those that GitHub gives to the App itself.
		c.fail(http.StatusForbidden, "This installation has been suspended", docsURL+docs)
		return
	}
	list := []any{}
	for _, r := range g.seen(c.tok, inst) {
		list = append(list, g.repoJSON(c, r, false))
	}
	c.reply(http.StatusOK, map[string]any{
		"total_count": len(list), "repository_selection": selection(inst), "repositories": c.page(list),
	})
}

func (g *GitHub) failSSO(c *call, o *Org, docs string) {
	c.w.Header().Set("X-GitHub-SSO", "required; url="+c.web+"/orgs/"+o.Login+"/sso")
	c.fail(http.StatusForbidden, "Resource protected by organization SAML enforcement. You must grant your OAuth token access to this organization.",
		docsURL+docs)
}

func (g *GitHub) serveRepo(c *call, r *Repo, moved bool) {
	const docs = "/repos/repos#get-a-repository"
	switch {
	case r == nil:
		c.notFound(docs)
	case g.visible(c.tok, r) && moved:
		c.moved(r, "")
	case g.visible(c.tok, r):
		c.reply(http.StatusOK, g.repoJSON(c, r, true))
	default:
		if c.tok != nil && !moved && userAccess(c.tok.user, r, true) > AccessNone {
			if o := g.ssoMissing(c.tok, r.Owner); o != nil {
				g.failSSO(c, o, docs)
				return
			}
		}
		c.notFound(docs)
	}
}

// page cuts a list to the page asked for, and sets the Link header:
// docs.github.com, "Using pagination in the REST API".
func (c *call) page(list []any) []any {
	q := c.r.URL.Query()
	per, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || per < 1 {
		per = 30
	}
	per = min(per, 100)
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	last := max(1, (len(list)+per-1)/per)
	var links []string
	link := func(page int, rel string) {
		v := url.Values{"per_page": {strconv.Itoa(per)}, "page": {strconv.Itoa(page)}}
		path := strings.TrimPrefix(c.r.URL.Path, "/api/v3")
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel="%s"`, c.api, path, v.Encode(), rel))
	}
	if n > 1 {
		link(min(n-1, last), "prev")
		link(1, "first")
	}
	if n < last {
		link(n+1, "next")
		link(last, "last")
	}
	if len(links) > 0 {
		c.w.Header().Set("Link", strings.Join(links, ", "))
	}
	if n > last {
		return []any{}
	}
	return list[(n-1)*per : min(n*per, len(list))]
}

// A bucket counts requests in a window of an hour.
type bucket struct {
	used int
	ends time.Time
}

// use counts one request and reports whether it was within the limit.
func (g *GitHub) use(all map[string]*bucket, key string, limit int) (*bucket, bool) {
	b := all[key]
	if b == nil || !g.now().Before(b.ends) {
		b = &bucket{ends: g.now().Add(time.Hour)}
		all[key] = b
	}
	if b.used >= limit {
		return b, false
	}
	b.used++
	return b, true
}

// bucketFor names the bucket that a call counts against, and its limit; 0 is
// none. Enterprise Server has rate limits off by default: docs.github.com,
// "Rate limits for the REST API".
func (g *GitHub) bucketFor(c *call) (key string, limit int) {
	if g.kind == EnterpriseServer && g.sw.RateLimit == 0 {
		return "", 0
	}
	switch {
	case c.app != nil:
		return "app " + c.app.ClientID, orElse(g.sw.RateLimit, 5000)
	case c.tok != nil && c.tok.install != 0:
		return "installation " + strconv.FormatInt(c.tok.install, 10), orElse(g.sw.RateLimit, 5000)
	case c.user == nil:
		return "address " + remoteHost(c.r), orElse(g.sw.AnonymousLimit, 60)
	}
	return "user " + c.user.Login, orElse(g.sw.RateLimit, 5000)
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// limited counts a call, sets the headers and refuses when there were too
// many.
func (g *GitHub) limited(c *call) bool {
	if g.sw.SecondaryLimit > 0 {
		c.w.Header().Set("Retry-After", strconv.Itoa(int(g.sw.SecondaryLimit/time.Second)))
		c.fail(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
			"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits")
		return true
	}
	key, limit := g.bucketFor(c)
	if limit == 0 {
		return false
	}
	b, ok := g.use(g.buckets, key, limit)
	c.limitHeaders(b, limit)
	if !ok {
		g.failLimit(c)
		return true
	}
	c.counted, c.limit = b, limit
	return false
}

// countAnonymous counts a call whose credentials are bad against its address.
func (g *GitHub) countAnonymous(c *call) {
	if key, limit := g.bucketFor(c); limit > 0 {
		b, _ := g.use(g.buckets, key, limit)
		c.limitHeaders(b, limit)
	}
}

func (g *GitHub) failLimit(c *call) {
	who := remoteHost(c.r)
	if c.user != nil {
		who = fmt.Sprintf("user ID %d", c.user.ID)
	} else if c.tok != nil {
		who = fmt.Sprintf("installation ID %d", c.tok.install)
	} else if c.app != nil {
		who = fmt.Sprintf("app ID %d", c.app.ID)
	}
	c.fail(http.StatusForbidden, "API rate limit exceeded for "+who+".",
		"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api")
}

func (c *call) limitHeaders(b *bucket, limit int) {
	h := c.w.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-b.used)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(b.ends.Unix(), 10))
	h.Set("X-RateLimit-Used", strconv.Itoa(b.used))
	h.Set("X-RateLimit-Resource", "core")
}

// serveRateLimit answers without counting.
func (g *GitHub) serveRateLimit(c *call) {
	key, limit := g.bucketFor(c)
	if limit == 0 {
		c.fail(http.StatusNotFound, "Rate limiting is not enabled.", docsURL+"/rate-limit/rate-limit")
		return
	}
	b := g.buckets[key]
	if b == nil || !g.now().Before(b.ends) {
		b = &bucket{ends: g.now().Add(time.Hour)}
	}
	c.limitHeaders(b, limit)
	rate := func(limit, used int) map[string]any {
		return map[string]any{"limit": limit, "used": used, "remaining": max(0, limit-used), "reset": b.ends.Unix()}
	}
	core := rate(limit, b.used)
	body := map[string]any{"resources": map[string]any{"core": core, "search": rate(30, 0), "graphql": rate(5000, 0)}}
	if c.w.Header().Get("X-GitHub-Api-Version-Selected") == apiVersion {
		body["rate"] = core
	}
	c.reply(http.StatusOK, body)
}
