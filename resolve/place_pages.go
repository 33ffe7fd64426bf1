package resolve

import (
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// driveID is the form of Drive's ids of files, folders and resource keys.
var driveID = pattern(`^[A-Za-z0-9_-]{10,100}$`)

const driveHost = "drive.google.com"

func driveSource(id, key, words, why string) (Place, error) {
	if !driveID().MatchString(id) || key != "" && !driveID().MatchString(key) {
		return Place{}, notThat("this address of Google Drive has no id that could be one", "Open the folder in Drive and copy the address of its page.")
	}
	return Place{Source: daypass.Source{Kind: daypass.KindDrive, Host: driveHost, ID: id, Ref: key}, Words: words, Certain: true, Why: why}, nil
}

// drivePage reads addresses of Drive's pages. Some of them begin with /a/DOMAIN or
// have /u/NUMBER in them, for who is signed in.
func drivePage(a address) (Place, error) {
	key, id, s := a.query.Get("resourcekey"), a.query.Get("id"), a.segments
	if len(s) > 2 && s[0] == "a" {
		s = s[2:]
	}
	switch {
	case len(s) > 0 && (s[0] == "open" || s[0] == "uc" || s[0] == "folderview" || s[0] == "download" || s[0] == "embeddedfolderview") && id != "":
		return driveSource(id, key, "a folder or file of Google Drive", "the address has an id of Drive's")
	case len(s) > 4 && s[0] == "file" && s[1] == "u" && s[3] == "d": // of people with several accounts
		return driveSource(s[4], key, "a file of Google Drive", "it is the page of a file of Drive's")
	case len(s) > 2 && s[0] == "file" && s[1] == "d":
		return driveSource(s[2], key, "a file of Google Drive", "it is the page of a file of Drive's")
	}
	if len(s) > 0 && s[0] == "drive" {
		s = s[1:]
	}
	if len(s) > 2 && s[0] == "u" {
		s = s[2:]
	}
	if len(s) > 1 && s[0] == "mobile" {
		s = s[1:]
	}
	switch {
	case len(s) > 1 && (s[0] == "folders" || s[0] == "shared-drives"):
		return driveSource(s[1], key, map[string]string{"folders": "a folder of Google Drive", "shared-drives": "a shared drive of Google"}[s[0]], "it is the page of a folder of Drive's")
	case len(s) > 0 && slices.Contains([]string{"my-drive", "shared-with-me", "recent", "starred", "computers", "home"}, s[0]):
		return Place{}, notThat("this page of Google Drive is a view of your own", "Open the folder itself in Drive, and copy its address.")
	}
	return Place{}, notThat("this address of Google Drive names no folder and no file", "Open the folder in Drive and copy the address of its page.")
}

// docsPage reads addresses of native documents.
func docsPage(a address) (Place, error) {
	s := a.segments
	if len(s) > 2 && s[0] == "a" {
		s = s[2:]
	}
	words := map[string]string{"document": "a Google document", "spreadsheets": "a Google spreadsheet", "presentation": "a Google presentation", "drawings": "a Google drawing"}
	if len(s) == 0 || words[s[0]] == "" {
		return Place{}, notThat("this address of Google's is no document that can be exported", "Forms and sites cannot be brought. Put what students need into a folder of Drive.")
	}
	kind := s[0]
	s = s[1:]
	if len(s) > 1 && s[0] == "u" {
		s = s[2:]
	}
	if len(s) > 1 && s[0] == "d" && s[1] == "e" {
		return Place{}, notThat("this is the address of a published copy", "Copy the address of the document itself, as you see it when you edit it.")
	}
	if len(s) < 2 || s[0] != "d" {
		return Place{}, notThat("this address of Google's names no document", "Copy the address of the document as you see it when you edit it.")
	}
	return driveSource(s[1], a.query.Get("resourcekey"), words[kind], "it is the page of a document of Google's")
}

func colabPage(a address) (Place, error) {
	if len(a.segments) == 2 && a.segments[0] == "drive" {
		return driveSource(a.segments[1], a.query.Get("resourcekey"), "a notebook of Colab in Google Drive", "it is a notebook of Colab's")
	}
	return Place{}, notThat("this address of Colab names no notebook in Drive", "For a notebook at GitHub give its address there.")
}

var recordID = pattern(`^[a-z0-9][a-z0-9-]{0,63}$`)

// invenioPage reads addresses of InvenioRDM, Zenodo's software.
func invenioPage(a address) (Place, error) {
	s := a.segments
	if len(s) > 1 && s[0] == "api" {
		s = s[1:]
	}
	p := Place{Words: "a record of " + a.host, Certain: true, Why: "it is the page of a record"}
	switch {
	case len(s) > 1 && (s[0] == "record" || s[0] == "records" || s[0] == "deposit") && recordID().MatchString(s[1]):
		p.Source = daypass.Source{Kind: daypass.KindInvenio, Host: a.host, ID: s[1]}
		if len(s) > 3 && s[2] == "files" {
			p.Open = strings.Join(s[3:], "/")
		} else if f := a.query.Get("preview_file"); validPath(f) {
			p.Open = f
		}
		return p, nil
	case len(s) > 2 && s[0] == "doi":
		id := strings.Join(s[1:], "/")
		if !doiForm().MatchString(id) {
			break
		}
		p.Source, p.Ask = daypass.Source{Kind: daypass.KindDOI, Host: "doi.org", ID: id}, AskConcept
		p.URL, p.Why = "https://"+a.host+"/doi/"+id, "it is a DOI at "+a.host
		return p, nil
	}
	return Place{}, notThat("this address of "+a.host+" names no record", "Open the record and copy the address of its page, or its DOI.")
}

var number = pattern(`^[0-9]{1,20}$`)

// figsharePage reads …/articles/KIND/TITLE/ID[/VERSION] of figshare and its portals.
func figsharePage(a address) (Place, error) {
	s := a.segments
	i := slices.Index(s, "articles")
	if i < 0 || i > 1 || i == 1 && s[0] != "account" {
		return Place{}, notThat("this address of figshare names no article", "Open the article and copy the address of its page, or its DOI.")
	}
	var numbers []string
	for j := len(s) - 1; j > i && number().MatchString(s[j]) && len(numbers) < 2; j-- {
		numbers = append([]string{s[j]}, numbers...)
	}
	if len(numbers) == 2 && len(numbers[1]) > 3 { // the title was a number
		numbers = numbers[1:]
	}
	if len(numbers) == 0 {
		return Place{}, notThat("this address of figshare names no article", "Open the article and copy the address of its page, or its DOI.")
	}
	src := daypass.Source{Kind: daypass.KindFigshare, Host: a.host, ID: numbers[0]}
	if len(numbers) == 2 {
		src.Ref = numbers[1]
	}
	return Place{Source: src, Words: "an article of figshare", Certain: true, Why: "it is the page of an article"}, nil
}

func hydroPage(a address) (Place, error) {
	if len(a.segments) > 1 && a.segments[0] == "resource" && regexpHex().MatchString(a.segments[1]) {
		src := daypass.Source{Kind: daypass.KindHydroShare, Host: "www.hydroshare.org", ID: a.segments[1]}
		return Place{Source: src, Words: kinds[src.Kind], Certain: true, Why: "it is the page of a resource"}, nil
	}
	return Place{}, notThat("this address of HydroShare names no resource", "Open the resource and copy the address of its page.")
}

var regexpHex = pattern(`^[0-9a-f]{32}$`)

func swhPage(a address) (Place, error) {
	for _, s := range a.segments {
		if low := daypass.FoldASCII(s); strings.HasPrefix(low, "swh:") {
			list, err := swh(low)
			if err != nil {
				return Place{}, err
			}
			return list[0], nil
		}
	}
	return Place{}, notThat("this address of Software Heritage holds no identifier", `Copy the "permalink" of the directory: it begins with swh:1:dir:.`)
}

func artifactPage(a address) (Place, error) {
	s := a.segments
	if r, ok := daypass.ParseRepo(s[0] + "/" + s[1]); !ok || !number().MatchString(s[6]) || r == (daypass.Repo{}) {
		return Place{}, notThat("this address names no artifact", "Copy the address of the artifact from the page of its run.")
	}
	src := daypass.Source{Kind: daypass.KindArtifact, Host: "github.com", ID: s[0] + "/" + s[1] + "/" + s[6]}
	return Place{Source: src, Words: kinds[src.Kind], Certain: true, Why: "it is the page of an artifact"}, nil
}

func ckanPage(a address) (Place, error) {
	i := slices.Index(a.segments, "dataset")
	if i < 0 || i+1 >= len(a.segments) || !recordID().MatchString(strings.ReplaceAll(a.segments[i+1], "_", "-")) {
		return Place{}, notThat("this address names no dataset of "+a.host, "Open the dataset and copy the address of its page.")
	}
	id := strings.Join(append(slices.Clone(a.segments[:i]), a.segments[i+1]), "/")
	return Place{Source: daypass.Source{Kind: daypass.KindCKAN, Host: a.host, ID: id}, Words: kinds[daypass.KindCKAN], Certain: true, Why: "it is the page of a dataset"}, nil
}

func davPage(a address) (Place, error) {
	return Place{Source: daypass.Source{Kind: daypass.KindWebDAV, Host: a.host, ID: strings.Join(a.segments, "/")}, Words: kinds[daypass.KindWebDAV], Certain: true, Why: a.host + " is listed as a WebDAV server"}, nil
}

var persistentID = pattern(`^(?:doi|hdl|perma):[^\s#?@]{3,300}$`)

// dataverse reports whether an address has one of the shapes of Dataverse.
func (a address) dataverse() bool {
	last := a.segments[len(a.segments)-1]
	return last == "citation" || last == "dataset.xhtml" || last == "file.xhtml" || len(a.segments) > 3 && a.segments[len(a.segments)-2] == "datafile"
}

// installation is the path below which a Dataverse is installed, with a "/" behind it,
// or nothing.
func (a address) installation() (string, bool) {
	n := len(a.segments) - 1
	if n > 2 && a.segments[n-1] == "datafile" { // /api/access/datafile/123, and older ones
		n -= 3
	}
	if n > 3 || slices.ContainsFunc(a.segments[:n], func(s string) bool { return !installed().MatchString(s) }) {
		return "", false
	}
	return strings.Join(append(slices.Clone(a.segments[:n]), ""), "/"), true
}

var installed = pattern(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,39}$`)

// dataversePage reads the pages of a Dataverse installation, which may live below a path.
func dataversePage(a address) (Place, error) {
	p := Place{Words: kinds[daypass.KindDataverse], Certain: slices.Contains(dataverses, a.host), Why: "it is a page of a Dataverse"}
	id := a.query.Get("persistentId")
	last := a.segments[len(a.segments)-1]
	p.Source = daypass.Source{Kind: daypass.KindDataverse, Host: a.host}
	below, ok := a.installation()
	switch {
	case !ok:
		return Place{}, notThat("the path of this address is none of a Dataverse's", "Open the dataset and copy the address of its page, or its DOI.")
	case persistentID().MatchString(id) && !strings.Contains(id, ".."):
		p.Source.ID = below + id
		if last != "dataset.xhtml" { // a citation may be of a file too
			p.Ask, p.URL = AskDataset, "https://"+a.host+"/"+a.path+"?persistentId="+id
		}
		if v := a.query.Get("version"); number().MatchString(strings.Replace(v, ".", "", 1)) {
			p.Source.Ref = v
		}
	case number().MatchString(last):
		p.Source.ID, p.Ask, p.URL = below+"file/"+last, AskDataset, "https://"+a.host+"/"+a.path
	default:
		return Place{}, notThat("this address names no dataset", "Open the dataset and copy the address of its page, or its DOI.")
	}
	return p, nil
}
