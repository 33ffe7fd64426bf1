package fake

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed pages/*.html pages/fake.css
var pageFiles embed.FS

// A pageData is what the templates see.
type pageData struct {
	Title string
	Host  string
	Path  string
	Error string // shown on top, said to be wrong
	Note  string // shown on top, said to be right
	Users []User
	As    string // login of the user who looks

	Code  string
	App   *App
	Perms []string
	Known bool // the user has authorised the App before
	Web   asking

	Accounts []string
	Install  *Installation
	Repos    []repoChoice
	Installs []Installation
	Apps     []connectedApp
	Repo     *Repo
	Org      *Org
	Pending  []string
}

type repoChoice struct {
	ID      int64
	Name    string
	Checked bool
}

type connectedApp struct {
	App    App
	Tokens int
}

// servePage answers what a browser asks for. The pages stand where GitHub has
// them, so that addresses that a program prints lead somewhere.
func (g *GitHub) servePage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "bad form", http.StatusBadRequest)
			return
		}
	} else if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.routePage(w, r)
}

func (g *GitHub) routePage(w http.ResponseWriter, r *http.Request) {
	p := strings.TrimSuffix(r.URL.Path, "/")
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	post := r.Method == http.MethodPost
	switch {
	case p == "/fake.css":
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		http.ServeFileFS(w, r, pageFiles, "pages/fake.css")
	case p == "/fake-avatar.svg":
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="20" fill="#888"/></svg>`)
	case p == "":
		g.showPage(w, r, http.StatusOK, "home.html", pageData{Title: "Start"})
	case p == "/login/device" && post:
		g.pageConfirm(w, r)
	case p == "/login/device":
		g.showPage(w, r, http.StatusOK, "device.html", pageData{Title: "Device activation", Code: r.URL.Query().Get("user_code")})
	case p == "/login/oauth/authorize":
		g.pageWeb(w, r)
	case p == "/login/device/authorize" && post:
		g.pageAuthorize(w, r)
	case len(parts) == 2 && (parts[0] == "apps" || parts[0] == "github-apps"):
		g.pageApp(w, r, parts[1])
	case len(parts) >= 3 && (parts[0] == "apps" || parts[0] == "github-apps") && parts[2] == "installations":
		g.pageInstall(w, r, parts[1])
	case len(parts) == 3 && parts[0] == "settings" && parts[1] == "installations":
		g.pageInstallation(w, r, parts[2])
	case len(parts) == 5 && parts[0] == "organizations" && parts[3] == "installations":
		g.pageInstallation(w, r, parts[4])
	case p == "/settings/installations", len(parts) == 4 && parts[0] == "organizations" && parts[3] == "installations":
		g.showPage(w, r, http.StatusOK, "installations.html", pageData{Title: "Installed Apps", Installs: g.installList()})
	case p == "/settings/applications", p == "/settings/apps/authorizations", len(parts) == 4 && parts[1] == "connections":
		g.pageConnected(w, r)
	case len(parts) == 3 && parts[0] == "orgs" && parts[2] == "sso":
		g.pageSSO(w, r, parts[1])
	case len(parts) == 2:
		g.pageRepo(w, r, parts[0]+"/"+strings.TrimSuffix(parts[1], ".git"))
	default:
		g.pageNotFound(w, r)
	}
}

// showPage renders a template inside the frame that says what this is.
func (g *GitHub) showPage(w http.ResponseWriter, r *http.Request, status int, name string, d pageData) {
	d.Host, d.Path = g.host, r.URL.Path
	if d.Host == "" {
		d.Host = r.Host
	}
	for _, u := range g.users {
		d.Users = append(d.Users, *u)
	}
	if d.As == "" {
		d.As = r.FormValue("login")
	}
	if d.As == "" && len(d.Users) > 0 {
		d.As = d.Users[0].Login
	}
	t, err := template.ParseFS(pageFiles, "pages/frame.html", "pages/"+name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "frame.html", d); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

func (g *GitHub) pageNotFound(w http.ResponseWriter, r *http.Request) {
	g.showPage(w, r, http.StatusNotFound, "done.html", pageData{Title: "Not found", Error: "This is not the web page you are looking for."})
}

// submitLimit is how many codes may be typed per App and hour:
// docs.github.com, "Rate limits for the device flow".
const submitLimit = 50

// pageConfirm shows who asks, once a code has been typed.
func (g *GitHub) pageConfirm(w http.ResponseWriter, r *http.Request) {
	d := g.deviceWith(r.PostFormValue("user_code"))
	u := g.userNamed(r.PostFormValue("login"))
	again := pageData{Title: "Device activation", Code: r.PostFormValue("user_code")}
	switch {
	case u == nil:
		again.Error = "Choose who is signed in."
	case d == nil:
		again.Error = "The code is not valid, or has expired. Check it and try again."
	default:
		if _, ok := g.use(g.submits, d.app.ClientID, submitLimit); !ok {
			again.Error = "Too many codes have been entered for this App. Please wait an hour."
			g.showPage(w, r, http.StatusTooManyRequests, "device.html", again)
			return
		}
		g.showPage(w, r, http.StatusOK, "confirm.html", pageData{
			Title: "Authorize " + d.app.Name, As: u.Login, Code: d.userCode, App: d.app, Perms: permissionWords(d.app, d.scopes), Known: g.hasAuthorised(d.app, u),
		})
		return
	}
	g.showPage(w, r, http.StatusUnprocessableEntity, "device.html", again)
}

func (g *GitHub) hasAuthorised(a *App, u *User) bool {
	return g.authorised[ownerKey(a.ClientID, u.Login)]
}

func permissionWords(app *App, scopes []string) []string {
	if app.Kind == OAuthApp {
		if len(scopes) == 0 {
			return []string{"public data only"}
		}
		return scopes
	}
	var out []string
	for k, v := range app.Permissions {
		out = append(out, strings.ReplaceAll(k, "_", " ")+": "+v)
	}
	slices.Sort(out)
	return out
}

// pageAuthorize takes the user's answer.
func (g *GitHub) pageAuthorize(w http.ResponseWriter, r *http.Request) {
	d := g.deviceWith(r.PostFormValue("user_code"))
	u := g.userNamed(r.PostFormValue("login"))
	if d == nil || u == nil {
		g.showPage(w, r, http.StatusUnprocessableEntity, "device.html",
			pageData{Title: "Device activation", Error: "The code is not valid, or has expired. Check it and try again."})
		return
	}
	if r.PostFormValue("action") != "authorize" {
		d.state = deviceDenied
		g.showPage(w, r, http.StatusOK, "done.html", pageData{Title: "Cancelled", As: u.Login, Note: "You have not given " + d.app.Name + " access. You can close this page."})
		return
	}
	d.state, d.user = deviceApproved, u.Login
	g.showPage(w, r, http.StatusOK, "done.html", pageData{
		Title: "Congratulations, you're all set", As: u.Login, App: d.app,
		Note: "Your device is now connected to " + d.app.Name + ". You can close this page.",
	})
}

func (g *GitHub) pageApp(w http.ResponseWriter, r *http.Request, slug string) {
	a := g.appWithSlug(slug)
	if a == nil || a.Kind != GitHubApp {
		g.pageNotFound(w, r)
		return
	}
	g.showPage(w, r, http.StatusOK, "app.html", pageData{Title: a.Name, App: a, Perms: permissionWords(a, nil)})
}

// accounts are those on which a user may install an App: docs.github.com,
// "Installing a GitHub App from a third party".
func (g *GitHub) accounts(login string) []string {
	out := []string{login}
	for _, o := range g.orgs {
		if containsFold(o.Owners, login) {
			out = append(out, o.Login)
		}
	}
	return out
}

// pageInstall shows the choice, and installs.
func (g *GitHub) pageInstall(w http.ResponseWriter, r *http.Request, slug string) {
	a := g.appWithSlug(slug)
	if a == nil || a.Kind != GitHubApp {
		g.pageNotFound(w, r)
		return
	}
	d := pageData{Title: "Install " + a.Name, App: a, As: r.FormValue("login")}
	if d.As == "" && len(g.users) > 0 {
		d.As = g.users[0].Login
	}
	d.Accounts = g.accounts(d.As)
	account := r.FormValue("account")
	if account != "" && !containsFold(d.Accounts, account) {
		d.Error = d.As + " may not install an App on " + account + ", but may ask its owners to."
		g.showPage(w, r, http.StatusForbidden, "install.html", d)
		return
	}
	if r.Method != http.MethodPost || account == "" {
		d.Install = &Installation{Account: account}
		d.Repos = g.choices(d.Install, account)
		g.showPage(w, r, http.StatusOK, "install.html", d)
		return
	}
	i := g.installationOf(a, account)
	if i == nil {
		g.nextID++
		i = &Installation{ID: g.nextID, App: a.ClientID, Account: account}
		g.installs = append(g.installs, i)
		g.indexInstall(i)
	}
	g.choose(i, r.PostForm)
	w.Header().Set("Location", g.installationURL("", i))
	w.WriteHeader(http.StatusSeeOther)
}

// choices lists an account's repositories for an installation.
func (g *GitHub) choices(i *Installation, account string) []repoChoice {
	var out []repoChoice
	for _, r := range g.index.owned[strings.ToLower(account)] {
		out = append(out, repoChoice{r.ID, r.FullName(), slices.Contains(i.Repos, r.ID)})
	}
	return out
}

// choose sets an installation to what a form says.
func (g *GitHub) choose(i *Installation, form url.Values) {
	i.All = form.Get("selection") == "all"
	i.Repos = nil
	for _, v := range form["repo"] {
		id, err := strconv.ParseInt(v, 10, 64)
		if r := g.repoWith(id); err == nil && r != nil && strings.EqualFold(r.Owner, i.Account) {
			i.Repos = append(i.Repos, id)
		}
	}
}

// pageInstallation shows and changes one installation.
func (g *GitHub) pageInstallation(w http.ResponseWriter, r *http.Request, id string) {
	n := slices.IndexFunc(g.installs, func(i *Installation) bool { return strconv.FormatInt(i.ID, 10) == id })
	if n < 0 {
		g.pageNotFound(w, r)
		return
	}
	i := g.installs[n]
	d := pageData{Title: "Installed App", Install: i, App: g.appWith(i.App)}
	if r.Method == http.MethodPost {
		switch r.PostFormValue("action") {
		case "suspend":
			i.SuspendedAt = g.now()
			d.Note = "Suspended."
		case "unsuspend":
			i.SuspendedAt = time.Time{}
			d.Note = "In use again."
		case "uninstall":
			g.installs = slices.Delete(g.installs, n, n+1)
			g.reindex()
			g.showPage(w, r, http.StatusOK, "done.html", pageData{Title: "Uninstalled", Note: "The App is no longer installed on " + i.Account + "."})
			return
		default:
			g.choose(i, r.PostForm)
			d.Note = "Saved."
		}
	}
	d.Repos = g.choices(i, i.Account)
	g.showPage(w, r, http.StatusOK, "installation.html", d)
}

func (g *GitHub) installList() []Installation {
	var out []Installation
	for _, i := range g.installs {
		out = append(out, *i)
	}
	return out
}

// pageConnected lists the Apps that a user has authorised, and revokes.
func (g *GitHub) pageConnected(w http.ResponseWriter, r *http.Request) {
	d := pageData{Title: "Authorized Apps", As: r.FormValue("login")}
	if d.As == "" && len(g.users) > 0 {
		d.As = g.users[0].Login
	}
	if id := r.PostFormValue("client_id"); r.Method == http.MethodPost && id != "" {
		d.Note = fmt.Sprintf("Revoked; %d token(s) ended.", g.disconnect(id, d.As))
	}
	for _, a := range g.apps {
		c := connectedApp{App: *a}
		for _, t := range g.tokens.held(a.ClientID, d.As) {
			if g.alive(t) || t.refresh != "" {
				c.Tokens++
			}
		}
		if c.Tokens > 0 {
			d.Apps = append(d.Apps, c)
		}
	}
	g.showPage(w, r, http.StatusOK, "connected.html", d)
}

// pageSSO starts a single sign-on session.
func (g *GitHub) pageSSO(w http.ResponseWriter, r *http.Request, org string) {
	o := g.orgNamed(org)
	if o == nil {
		g.pageNotFound(w, r)
		return
	}
	d := pageData{Title: "Single sign-on to " + o.Login, Org: o, As: r.FormValue("login")}
	if u := g.userNamed(d.As); r.Method == http.MethodPost && u != nil {
		if !containsFold(u.SSO, o.Login) {
			u.SSO = append(u.SSO, o.Login)
		}
		d.Note = u.Login + " has signed in to " + o.Login + ". Authorize the App again to let it see this organisation."
	}
	g.showPage(w, r, http.StatusOK, "sso.html", d)
}

// pageRepo shows a repository. The stand-in does not know who looks, so it
// hides nothing that its other pages do not show either.
func (g *GitHub) pageRepo(w http.ResponseWriter, r *http.Request, full string) {
	repo := g.repoNamed(full)
	if repo == nil {
		if repo = g.renamed(full); repo != nil {
			http.Redirect(w, r, "/"+repo.FullName(), http.StatusMovedPermanently)
			return
		}
		g.pageNotFound(w, r)
		return
	}
	g.showPage(w, r, http.StatusOK, "repo.html", pageData{Title: repo.FullName(), Repo: repo})
}
