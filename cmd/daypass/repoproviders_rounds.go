package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/doi"
	"github.com/daypass-dev/daypass/provider/figshare"
	"github.com/daypass-dev/daypass/provider/forge"
	"github.com/daypass-dev/daypass/provider/invenio"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/snapshot"
)

// A question is a text, or an answer of a kind that is asked on.
type question struct {
	text string
	kind string // of the answer; "": the text itself
	url  string
	site string         // "https://zenodo.org"
	git  []resolve.Git  // of Git: its readings
	at   daypass.Source // of an archive's
}

// An oldTrail answers in the rounds of repoproviders, in its kinds and words.
type oldTrail struct{ *trail }

// answer is one round; nil where nothing more is known.
func (t *oldTrail) answer(ctx context.Context, q question) (*oldAnswer, error) {
	rounds := map[string]func(context.Context, question) (*oldAnswer, error){
		"": t.text, "Doi": t.known, "GitHubURL": t.forge, "GistURL": t.forge, "GitLabURL": t.forge, "GitHubPR": t.request, "Git": t.commit,
		"ZenodoURL": t.zenodo, "FigshareURL": t.article, "FigshareDataset": t.version, "DataverseURL": t.dataset, "GoogleDriveFolder": t.folder,
	}
	if round := rounds[q.kind]; round != nil {
		return round(ctx, q)
	}
	return nil, nil
}

// says makes an answer; fields are names and values by turns.
func says(certainty, kind string, next question, fields ...any) *oldAnswer {
	next.kind = kind
	out := &oldAnswer{Certainty: certainty, Kind: kind, repo: next}
	for i := 0; i+1 < len(fields); i += 2 {
		out.Data = append(out.Data, oldField{fields[i].(string), fields[i+1]})
	}
	return out
}

func lacks(kind, message string) *oldAnswer {
	return says(oldNone, kind, question{}, "kind", kind, "message", message)
}

func gitSays(certainty string, list []resolve.Git) *oldAnswer {
	return says(certainty, "Git", question{git: list}, "repo", list[0].URL, "ref", first(list[0].Ref, "HEAD"))
}

// text is the first round: well-known hosts, git+ addresses, identifiers, and at last
// what hosts say of themselves.
func (t *oldTrail) text(ctx context.Context, q question) (*oldAnswer, error) {
	text := strings.TrimSpace(q.text)
	if out, err := t.known(ctx, question{url: text}); out != nil || err != nil {
		return out, err
	}
	places, err := resolve.Places(text, t.a.sites(t.cfg))
	scheme, _, web := strings.Cut(text, "://")
	switch {
	case err == nil && places[0].Ask == resolve.AskDOI:
		return t.identifier(ctx, places[0])
	case err == nil && places[0].Git != nil && (strings.HasPrefix(scheme, "git+") || scheme == "git"):
		return gitSays(oldMaybe, readingsOf(places[:1])), nil
	case err == nil && places[0].Git == nil && places[0].Ask == "":
		return t.ours(places[0]), nil
	case web && (scheme == "https" || scheme == "http"):
		return t.detect(ctx, text)
	}
	return nil, nil
}

// identifier asks where a DOI leads.
func (t *oldTrail) identifier(ctx context.Context, p resolve.Place) (*oldAnswer, error) {
	at, err := doi.Resolve(ctx, t.a.site(doi.Host, outward{}), p.Source.ID)
	if errors.Is(err, daypass.ErrNoSource) {
		return lacks("Doi", p.Source.ID+" is not a registered DOI or handle"), nil
	}
	if err != nil {
		return nil, err
	}
	t.outward.guarded = true
	return says(oldExists, "Doi", question{url: at}, "url", at), nil
}

// known is what a host's name tells.
func (t *oldTrail) known(_ context.Context, q question) (*oldAnswer, error) {
	u, err := url.Parse(q.url)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, nil
	}
	host := strings.TrimPrefix(daypass.FoldASCII(u.Host), "www.")
	site := "https://" + host
	kind := map[string]string{
		"github.com": "GitHubURL", "gist.github.com": "GistURL", "gitlab.com": "GitLabURL", "zenodo.org": "ZenodoURL", "sandbox.zenodo.org": "ZenodoURL", "data.caltech.edu": "ZenodoURL", "figshare.com": "FigshareURL",
	}[host]
	places, err := resolve.Places(q.url, t.a.sites(t.cfg))
	switch {
	case kind == "FigshareURL":
		return says(oldMaybe, kind, question{url: q.url, site: site}, "installation", figshareSite(), "url", q.url), nil
	case kind != "":
		return says(oldMaybe, kind, question{url: q.url, site: site}, "installation", site, "url", q.url), nil
	case err != nil || places[0].Git != nil:
		return nil, nil
	case places[0].Source.Kind == daypass.KindDataverse && places[0].Certain:
		return says(oldMaybe, "DataverseURL", question{url: q.url, site: site}, "installation", site, "url", q.url), nil
	case places[0].Source.Kind == daypass.KindHydroShare || places[0].Source.Kind == daypass.KindDrive:
		return t.ours(places[0]), nil
	}
	return nil, nil
}

// ours is a source that daypass reads from a text, in that program's kinds where it has
// one.
func (t *oldTrail) ours(p resolve.Place) *oldAnswer {
	s := p.Source
	switch s.Kind {
	case daypass.KindDrive:
		return says(oldMaybe, "GoogleDriveFolder", question{at: s}, "id", s.ID)
	case daypass.KindHydroShare:
		return says(oldMaybe, "HydroshareDataset", question{at: s}, "resource_id", s.ID)
	case daypass.KindCKAN:
		at, id := "https://"+s.Host, s.ID
		if i := strings.LastIndexByte(id, '/'); i > 0 {
			at, id = at+"/"+id[:i], id[i+1:]
		}
		return says(oldMaybe, "CKANDataset", question{at: s}, "installationUrl", at, "dataset_id", id)
	case daypass.KindInvenio:
		return zenodoSays(s.Host, s.ID)
	case daypass.KindArtifact:
		part := strings.Split(s.ID, "/")
		return says(oldMaybe, "GitHubActionArtifact", question{at: s}, "installation", "https://github.com", "account", part[0], "repo", part[1], "artifact_id", json.Number(part[2]))
	}
	return says(oldMaybe, "Daypass", question{at: s}, "source", s.String()) // it knows no such kind
}

func figshareSite() oldRepo {
	return oldRepo{{"url", "https://figshare.com/"}, {"apiUrl", "https://api.figshare.com/v2/"}}
}

func zenodoSays(host, id string) *oldAnswer {
	return says(oldMaybe, "ZenodoDataset", question{}, "installationUrl", "https://"+host+"/", "recordId", id)
}

// forge reads a page of a git host.
func (t *oldTrail) forge(_ context.Context, q question) (*oldAnswer, error) {
	places, err := resolve.Places(q.url, resolve.Sites{})
	if err != nil {
		return nil, nil // it shows no repository
	}
	if places[0].Git == nil {
		return t.ours(places[0]), nil
	}
	u, _ := url.Parse(q.url)
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	list := readingsOf(places)
	switch {
	case q.kind == "GitHubURL" && list[0].Pull > 0:
		return says(oldMaybe, "GitHubPR", question{url: q.url, git: list}, "installation", q.site, "url", q.url), nil
	case q.kind == "GistURL" && len(parts) != 2, list[0].Pull > 0:
		return nil, nil
	case q.kind == "GitHubURL" && len(parts) > 2 && list[0].Ref == "":
		return nil, nil
	}
	return gitSays(oldMaybe, list), nil
}

// request is the branch that a pull request proposes, in the repository that it comes
// from. Where that was deleted, or GitHub does not say, its own repository has it too.
func (t *oldTrail) request(ctx context.Context, q question) (*oldAnswer, error) {
	u, err := url.Parse(q.url)
	if err != nil {
		return nil, nil
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 4 {
		return nil, nil
	}
	repo, ok := daypass.ParseRepo(parts[0] + "/" + parts[1])
	n, err := strconv.Atoi(parts[3])
	if !ok || err != nil {
		return nil, nil
	}
	const host = "github.com"
	head, err := forge.PullHead(ctx, t.a.site(host, t.outward), repo, n)
	switch {
	case errors.Is(err, daypass.ErrNoSource):
		return lacks("GitHubPR", "PR "+parts[3]+" does not exist at "+q.url), nil
	case err == nil && head.Repo != daypass.Repo{}:
		from := resolve.Git{URL: "https://" + host + "/" + head.Repo.String(), Host: host, Ref: head.Branch, Kind: "GitHub", Certain: true, Why: "GitHub says where the proposed change is"}
		return gitSays(oldMaybe, []resolve.Git{from}), nil
	case len(q.git) > 0:
		return gitSays(oldMaybe, q.git), nil
	}
	return nil, err
}

// folder is what a folder of Drive holds now.
func (t *oldTrail) folder(ctx context.Context, q question) (*oldAnswer, error) {
	from, err := t.a.contents(t.cfg, q.at, t.outward)
	if errors.Is(err, daypass.ErrNoLogin) {
		return nil, nil // without a key nothing more is known
	}
	var l daypass.Listing
	if err == nil {
		l, err = from.List(ctx, q.at)
	}
	if errors.Is(err, daypass.ErrNoSource) || err == nil && l.Complete && len(l.Items) == 0 {
		return lacks("GoogleDriveFolder", "The Google Drive Folder either does not exist, is empty or is not public"), nil
	}
	if err != nil || !l.Complete {
		return nil, err
	}
	return says(oldExists, "ImmutableGoogleDriveFolder", question{at: q.at}, "id", q.at.ID, "dir_hash", dirHash(l.Items)), nil
}

// dirHash stands for what files hold, as that program makes it: of an object of paths in
// their order, each with its checksum, or else with what moves when the file does. Of a
// folder without folders and native documents it is the same as that program's own, with
// an rclone that lists SHA-256.
func dirHash(items []daypass.Item) string {
	files := map[string]string{}
	for _, it := range items {
		_, sum, _ := strings.Cut(it.Sum, ":")
		files[strings.Join(it.Parts, "/")] = first(sum, first(it.Mark, it.ID))
	}
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		lines = append(lines, asciiJSON(path)+": "+asciiJSON(files[path]))
	}
	sum := sha256.Sum256([]byte("{" + strings.Join(lines, ", ") + "}"))
	return base64.URLEncoding.EncodeToString(sum[:])
}

// asciiJSON writes a text as JSON in ASCII alone.
func asciiJSON(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return ""
	}
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(strings.TrimSuffix(b.String(), "\n"))) {
		if unit < 0x80 {
			out.WriteByte(byte(unit))
			continue
		}
		fmt.Fprintf(&out, "\\u%04x", unit)
	}
	return out.String()
}

// commit is what a repository's ref names now.
func (t *oldTrail) commit(ctx context.Context, q question) (*oldAnswer, error) {
	if t.outward.guarded {
		if err := t.outward.check(ctx, q.git[0].URL); err != nil {
			return nil, err
		}
	}
	git, err := t.a.pullGit(ctx, t.cfg)
	if err != nil {
		return nil, err
	}
	git = t.outward.git(git)
	repo := q.git[0].URL
	g, tips, err := settle(ctx, t.cfg, snapshot.Git{Git: git}, q.git)
	var p *daypass.Problem
	switch {
	case errors.As(err, &p) && p.Code == "DP-372":
		return lacks("ImmutableGit", "No ref "+first(q.git[0].Ref, "HEAD")+" found in repo "+repo), nil
	case errors.As(err, &p) && errors.Is(err, daypass.ErrRefused), errors.As(err, &p) && p.Code == "DP-312":
		return lacks("ImmutableGit", "Could not access git repository at "+repo), nil
	case err != nil:
		return nil, err
	}
	for _, tip := range tips {
		if g.Ref == "" && tip.Name == "HEAD" || g.Ref != "" && slices.Contains([]string{g.Ref, "refs/heads/" + g.Ref, "refs/tags/" + g.Ref}, tip.Ref) {
			return says(oldExists, "ImmutableGit", question{}, "repo", first(q.url, g.URL), "ref", string(tip.Commit)), nil
		}
	}
	if tip, err := (snapshot.Git{Git: git}).Look(ctx, g.URL, g.Ref); err == nil && string(tip.Commit) != g.Ref {
		return says(oldExists, "ImmutableGit", question{}, "repo", first(q.url, g.URL), "ref", string(tip.Commit)), nil
	}
	return says(oldMaybe, "ImmutableGit", question{}, "repo", first(q.url, g.URL), "ref", g.Ref), nil
}

// zenodo is the record that a page of InvenioRDM shows.
func (t *oldTrail) zenodo(ctx context.Context, q question) (*oldAnswer, error) {
	places, err := resolve.Places(q.url, t.a.sites(t.cfg))
	u, _ := url.Parse(q.url)
	if err != nil {
		if strings.HasPrefix(u.Path, "/doi/") {
			return lacks("ZenodoDataset", q.url+" is not a valid Zenodo DOI URL"), nil
		}
		return nil, nil
	}
	p := places[0]
	if p.Ask != resolve.AskConcept {
		return zenodoSays(p.Source.Host, p.Source.ID), nil
	}
	id, err := invenio.FromDOI(ctx, t.a.site(strings.TrimPrefix(u.Host, "www."), t.outward), p.Source.ID)
	if errors.Is(err, daypass.ErrNoSource) {
		return lacks("ZenodoDataset", q.url+" is not a valid Zenodo DOI URL"), nil
	}
	if err != nil {
		return nil, err
	}
	return zenodoSays(strings.TrimPrefix(u.Host, "www."), id), nil
}

// article is the article that a page of figshare shows.
func (t *oldTrail) article(_ context.Context, q question) (*oldAnswer, error) {
	places, err := resolve.Places(q.url, resolve.Sites{})
	if err != nil {
		return nil, nil
	}
	s := places[0].Source
	return figshareSays(oldMaybe, "FigshareDataset", s, s.Ref), nil
}

func figshareSays(certainty, kind string, s daypass.Source, version string) *oldAnswer {
	var v any
	if version != "" {
		v = json.Number(version)
	}
	return says(certainty, kind, question{at: s}, "installation", figshareSite(), "articleId", json.Number(s.ID), "version", v)
}

// version is the version of an article that is the newest, where none was named.
func (t *oldTrail) version(ctx context.Context, q question) (*oldAnswer, error) {
	if q.at.Ref != "" {
		return figshareSays(oldMaybe, "ImmutableFigshareDataset", q.at, q.at.Ref), nil
	}
	n, err := figshare.Latest(ctx, t.a.site(q.at.Host, t.outward), q.at.ID)
	var p *daypass.Problem
	if errors.Is(err, daypass.ErrNoSource) || errors.As(err, &p) && p.Code == "DP-436" { // nor could there be one
		return lacks("ImmutableFigshareDataset", "Article ID "+q.at.ID+" not found on figshare installation https://figshare.com/"), nil
	}
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(n)
	return figshareSays(oldExists, "ImmutableFigshareDataset", q.at, string(b)), err
}

// dataset is the dataset that a page of a Dataverse is of.
func (t *oldTrail) dataset(ctx context.Context, q question) (*oldAnswer, error) {
	u, err := url.Parse(q.url)
	if err != nil {
		return nil, nil
	}
	sites := resolve.Sites{Dataverse: []string{daypass.FoldASCII(u.Host)}}
	places, err := resolve.Places(q.url, sites)
	if err != nil || places[0].Source.Kind != daypass.KindDataverse {
		return nil, nil
	}
	s, site := places[0].Source, strings.TrimSuffix(q.site, "/")
	c := t.a.site(s.Host, t.outward)
	path, what := dataverse.Split(s.ID)
	if path != "" && !strings.HasSuffix(site, "/"+path) {
		site += "/" + path
	}
	number, file := strings.CutPrefix(what, "file/")
	id, missing := s.ID, what+" is neither a file nor a dataset in "+site
	err = daypass.ErrNoSource
	if file {
		missing = "No file with id " + number + " found in dataverse installation " + site
	} else {
		err = dataverse.Exists(ctx, c, s.ID)
	}
	if errors.Is(err, daypass.ErrNoSource) {
		id, err = dataverse.DatasetOf(ctx, c, s.ID)
	}
	switch {
	case errors.Is(err, daypass.ErrNoSource):
		return lacks("DataverseDataset", missing), nil
	case err != nil:
		return nil, err
	}
	s.ID = id
	_, id = dataverse.Split(id)
	return says(oldExists, "DataverseDataset", question{at: s}, "installationUrl", site, "persistentId", id), nil
}

// detect asks a host what it is.
func (t *oldTrail) detect(ctx context.Context, text string) (*oldAnswer, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, nil
	}
	if sites, ok := t.features(ctx, text); ok {
		places, err := resolve.Places(text, sites)
		if err == nil && places[0].Source.Kind == daypass.KindDataverse {
			site := "https://" + u.Host + "/"
			return says(oldMaybe, "DataverseURL", question{url: text, site: site}, "installation", site, "url", text), nil
		}
		if err == nil && places[0].Git == nil {
			return t.ours(places[0]), nil
		}
	}
	if t.gitLab(ctx, u.Host) {
		return says(oldMaybe, "GitLabURL", question{url: text, site: "https://" + u.Host + "/"}, "installation", "https://"+u.Host+"/", "url", text), nil
	}
	list, err := readings(text)
	if err != nil {
		return nil, nil
	}
	git, err := t.a.pullGit(ctx, t.cfg)
	if err != nil {
		return nil, err
	}
	if g, _, err := settle(ctx, t.cfg, snapshot.Git{Git: git}, list); err == nil {
		out := gitSays(oldExists, []resolve.Git{g})
		if len(list) == 1 && g.Ref == "" && g.Path == "" {
			out.Data[0].value, out.repo.url = text, text // as it was given
		}
		return out, nil
	}
	return nil, nil
}

// gitLab reports whether a host says that it is a GitLab.
func (t *oldTrail) gitLab(ctx context.Context, host string) bool {
	if !cleanHost(host) || allowedHost(t.cfg.pull, host) != nil {
		return false
	}
	is, err := forge.GitLab(ctx, t.a.site(host, t.outward))
	return is && err == nil
}
