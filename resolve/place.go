package resolve

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/daypass-dev/daypass"
)

// A Place is one reading of what people paste: content somewhere. Of a git repository
// the reading itself is in Git.
type Place struct {
	Source daypass.Source // zero of a git repository that is no host's, such as a folder of this machine
	Git    *Git           // of daypass.KindGit
	Open   string         // the file that the page shows, below the source; may be empty
	Words  string         // what it is, for people: "a folder of Google Drive"
	// Certain: the text alone says what kind of place it is. It never says whether it is there.
	Certain bool
	Why     string // how it was told, a clause
	// Ask is what has to be asked of the host before Source can be read; "" nothing.
	Ask Question
	URL string // of Ask: the address that was pasted, without what may be secret
}

// A Question is what only a host can answer.
type Question string

// The questions.
const (
	AskDOI      Question = "doi"      // where a DOI or handle leads: its address is read again
	AskRef      Question = "ref"      // which of the readings of a git page has a branch of that name
	AskConcept  Question = "concept"  // which record a DOI of all versions stands for
	AskDataset  Question = "dataset"  // which dataset a file is in
	AskFeatures Question = "features" // what kind of site this is
)

// Sites are hosts that cannot be told by their names: an admin, or a user, lists them.
type Sites struct {
	Canvas    []string
	Invenio   []string // beside zenodo.org, sandbox.zenodo.org and data.caltech.edu
	Figshare  []string // institutional portals: "kilthub.cmu.edu"
	Dataverse []string // beside those that are known
	CKAN      []string
	WebDAV    []string
}

// Places returns what a text may mean, the most likely first: never none without an
// error. It asks no network, and repeats no part of the text that may be a secret. What
// Parse reads as git is read so here too.
func Places(text string, sites Sites) ([]Place, error) {
	text = strings.TrimSpace(text)
	s, written := daypass.ParseSource(text)
	if written = written && kinds[s.Kind] != "" && (s.Kind != daypass.KindDOI && s.Kind != daypass.KindSWH || s.Host == "doi.org" || s.Host == swhHost); written {
		return canonical(s)
	}
	if p, ok, err := identifier(text); ok || err != nil {
		return p, err
	}
	if kind, rest, _ := strings.Cut(text, ":"); kinds[kind] != "" && !strings.HasPrefix(rest, "//") {
		if host, _, ok := strings.Cut(rest, "/"); ok && strings.Contains(host, ".") { // else it may be a host's name for ssh
			return nil, unknown("this is no source that daypass knows", "after "+kind+": come a host, a slash and an id")
		}
	}
	if scheme, rest, ok := strings.Cut(text, "://"); ok && len(text) <= maxAddress && oddCharacter(text) == "" {
		if low := daypass.FoldASCII(scheme); low == "https" || low == "http" {
			if p, ok, err := page(low, rest, sites); ok || err != nil {
				return p, err
			}
		}
	}
	list, err := Parse(text)
	if err != nil {
		return nil, err
	}
	var out []Place
	for _, g := range list {
		out = append(out, g.place())
	}
	return out, nil
}

// canonical takes what the service itself writes.
func canonical(s daypass.Source) ([]Place, error) {
	words := kinds[s.Kind]
	if !daypass.CleanHost(s.Host) || s.Host != daypass.FoldASCII(s.Host) {
		return nil, unknown("this is no source that daypass knows", "its kind or its host cannot be one")
	}
	for _, part := range strings.Split(s.ID+"/"+s.Path, "/") {
		if part == "." || part == ".." {
			return nil, unknown("this is no source that daypass knows", "its path goes up or nowhere")
		}
	}
	p := Place{Source: s, Words: words + " at " + s.Host, Certain: true, Why: "it is written as daypass writes sources"}
	switch s.Kind {
	case daypass.KindDOI:
		p.Ask = AskDOI
	case daypass.KindGit:
		p.Git = &Git{URL: "https://" + s.Host + "/" + s.ID, Host: s.Host, Ref: s.Ref, Path: s.Path, Kind: "git", Certain: true, Why: p.Why}
	}
	return []Place{p}, nil
}

// kinds are the kinds of sources in words.
var kinds = map[string]string{
	daypass.KindGit: "a git repository", daypass.KindDrive: "a folder or file of Google Drive", daypass.KindCanvas: "files of Canvas", daypass.KindInvenio: "a record",
	daypass.KindFigshare: "an article of figshare", daypass.KindDataverse: "a dataset of Dataverse", daypass.KindSWH: "an object of Software Heritage", daypass.KindHydroShare: "a resource of HydroShare",
	daypass.KindCKAN: "a dataset of CKAN", daypass.KindArtifact: "an artifact of GitHub Actions", daypass.KindWebDAV: "a folder of a WebDAV server", daypass.KindDOI: "a DOI",
}

// place is a git reading as a place.
func (g Git) place() Place {
	p := Place{Git: &g, Words: "a git repository", Certain: g.Certain, Why: g.Why}
	if !g.Certain {
		p.Ask = AskRef
	}
	u, err := url.Parse(g.URL)
	if err != nil || u.Scheme != "https" && !(u.Scheme == "http" && daypass.Loopback(u.Host)) || u.User != nil || !daypass.CleanHost(daypass.FoldASCII(u.Host)) || strings.Contains(daypass.FoldASCII(u.EscapedPath()), "%2f") {
		return p // a slash within a name is none between names
	}
	folder := g.Path
	if g.File {
		p.Open, folder = g.Path, ""
	}
	id := strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	if id != "" {
		p.Source = daypass.Source{Kind: daypass.KindGit, Host: daypass.FoldASCII(u.Host), ID: id, Ref: g.Ref, Path: folder}
	}
	return p
}

// pattern compiles a pattern at its first use: a command that reads no address does not.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

var (
	doiForm = pattern(`^10\.[0-9]{4,9}(?:\.[0-9]+)*/\S{1,512}$`)
	hdlForm = pattern(`^[0-9][0-9.]{1,30}/\S{1,512}$`)
	swhForm = pattern(`^swh:1:(cnt|dir|rev|rel|snp):[0-9a-f]{40}$`)
)

// identifier reads DOIs (doi.org's handbook, 2.2), handles and SWHIDs (ISO/IEC 18670) that
// are no address.
func identifier(text string) ([]Place, bool, error) {
	low := daypass.FoldASCII(text)
	if len(text) > maxAddress || oddCharacter(text) != "" {
		return nil, false, nil
	}
	switch {
	case strings.HasPrefix(low, "doi:"):
		p, err := doi(strings.TrimSpace(text[4:]), "it begins with doi:", doiForm)
		return p, true, err
	case strings.HasPrefix(low, "hdl:"):
		p, err := doi(strings.TrimSpace(text[4:]), "it begins with hdl:", hdlForm)
		return p, true, err
	case strings.HasPrefix(low, "10.") && (strings.Contains(text, "/") || strings.Trim(text, "0123456789.") == ""):
		p, err := doi(text, "it has the form of a DOI", doiForm)
		return p, true, err
	case strings.HasPrefix(low, "swh:"):
		p, err := swh(low)
		return p, true, err
	}
	return nil, false, nil
}

// noIdentifier is of a text that only looks like one.
func noIdentifier(what, why string) error {
	return &daypass.Problem{
		Code: "DP-362", What: what, Why: why, Next: "Copy it whole from the page of the record, or give the address of that page. The address of a host begins with https://.", Kind: daypass.ErrUsage,
	}
}

func doi(id, why string, form func() *regexp.Regexp) ([]Place, error) {
	id, _, _ = strings.Cut(id, "#")
	if !form().MatchString(id) || strings.Contains(id, "\\") {
		return nil, noIdentifier("this is no DOI and no handle", "a DOI is 10.NUMBER/NAME, with four digits or more in the number, and a handle NUMBER/NAME")
	}
	s := daypass.Source{Kind: daypass.KindDOI, Host: "doi.org", ID: id}
	return []Place{{Source: s, Words: "the DOI " + id, Certain: true, Why: why, Ask: AskDOI}}, nil
}

func swh(id string) ([]Place, error) {
	id, qualifiers, _ := strings.Cut(id, ";")
	if !swhForm().MatchString(id) {
		return nil, noIdentifier("this is no identifier of Software Heritage", "it is swh:1:KIND:HASH, with forty digits in the hash")
	}
	path := ""
	for q := range strings.SplitSeq(qualifiers, ";") {
		if v, ok := strings.CutPrefix(q, "path="); ok {
			path = strings.Trim(v, "/")
		}
	}
	if path != "" && !validPath(path) {
		return nil, noIdentifier("the path in this identifier cannot be one", "")
	}
	s := daypass.Source{Kind: daypass.KindSWH, Host: swhHost, ID: id, Path: path}
	return []Place{{Source: s, Words: kinds[s.Kind], Certain: true, Why: "it is an identifier of Software Heritage"}}, nil
}

const swhHost = "archive.softwareheritage.org"

// page reads the address of a page of a service that is no git host.
func page(scheme, rest string, sites Sites) ([]Place, bool, error) {
	a, err := cutAddress(scheme, rest)
	host := strings.TrimPrefix(a.host, "www.")
	if err != nil && slices.Contains([]string{"doi.org", "dx.doi.org", "hdl.handle.net"}, host) {
		return nil, true, noIdentifier("this address names no DOI and no handle", "nothing stands behind its host")
	}
	if err != nil {
		return nil, false, nil // Parse says what is wrong with it
	}
	read := map[string]func(address) (Place, error){
		"doi.org": doiPage, "dx.doi.org": doiPage, "hdl.handle.net": doiPage, "drive.google.com": drivePage, "docs.google.com": docsPage, "drive.usercontent.google.com": drivePage,
		"colab.research.google.com": colabPage, "zenodo.org": invenioPage, "sandbox.zenodo.org": invenioPage, "data.caltech.edu": invenioPage, "figshare.com": figsharePage,
		"hydroshare.org": hydroPage, swhHost: swhPage,
	}[host]
	switch {
	case read != nil:
		a.host = host
	case slices.Contains(sites.Canvas, a.host) || strings.HasSuffix(a.host, ".instructure.com"):
		read = canvasPage
	case slices.Contains(sites.Invenio, a.host):
		read = invenioPage
	case slices.Contains(sites.Figshare, a.host) || strings.HasSuffix(a.host, ".figshare.com") && a.host != "api.figshare.com":
		read = figsharePage
	case a.dataverse() && (slices.Contains(sites.Dataverse, a.host) || slices.Contains(dataverses, a.host) || a.query.Get("persistentId") != ""):
		read = dataversePage
	case slices.Contains(sites.CKAN, a.host):
		read = ckanPage
	case slices.Contains(sites.WebDAV, a.host):
		read = davPage
	case host == "github.com" && len(a.segments) == 7 && a.segments[2] == "actions" && a.segments[3] == "runs" && a.segments[5] == "artifacts":
		read = artifactPage
	default:
		return nil, false, nil
	}
	p, err := read(a)
	if err != nil {
		return nil, true, err
	}
	if a.scheme == "http" && !daypass.Loopback(a.host) {
		p.Why += "; it is asked by https"
	}
	return []Place{p}, true, nil
}

func notThat(what, next string) error {
	return &daypass.Problem{Code: "DP-450", What: what, Next: next, Kind: daypass.ErrUsage}
}

func doiPage(a address) (Place, error) {
	id := strings.Join(a.segments, "/")
	form := doiForm
	if a.host == "hdl.handle.net" {
		form = hdlForm
	}
	list, err := doi(id, "it is an address of "+a.host, form)
	if err != nil {
		return Place{}, err
	}
	return list[0], nil
}
