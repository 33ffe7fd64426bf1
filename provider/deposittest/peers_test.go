package deposittest_test

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/doi"
	"github.com/daypass-dev/daypass/provider/figshare"
	"github.com/daypass-dev/daypass/provider/hydroshare"
	"github.com/daypass-dev/daypass/provider/invenio"
)

const (
	set      = "doi:10.7910/DVN/TJCLKP"
	resource = "76502ab28c5744f98e2bbad5155e39c7"
	store    = "s3.us-west-2.amazonaws.com"
)

// archives are the stand-ins under their true names.
func archives(t *testing.T) *fake.Network {
	t.Helper()
	flat, folders := deposittest.Files(deposittest.Flat()), deposittest.Files(deposittest.Folders())
	var tables []fake.DataverseFile
	for _, f := range folders {
		tables = append(tables, fake.DataverseFile{DepositFile: f, Table: strings.HasSuffix(f.Name, ".csv")})
	}
	zenodo := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{
		{ID: "7", Parent: "6", Title: "Lab 1", Files: flat}, {ID: "8", Parent: "6", Title: "Lab 1, again", Files: flat[1:]}, {ID: "18", Parent: "17", Files: []fake.DepositFile{{Name: "lab.zip", Text: deposittest.Zip(t, "lab-1.0/", deposittest.Folders())}}},
	}})
	caltech := fake.NewInvenio(fake.InvenioConfig{Store: store, Quiet: true, Records: []fake.InvenioRecord{{ID: "abcde-12345", Parent: "abcde-12344", Files: flat}}})
	fig := fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{{ID: 9782777, Title: "Rivers", Files: flat[2:]}, {ID: 9782777, Title: "Rivers", Files: flat}}})
	data := fake.NewDataverse(fake.DataverseConfig{Sets: []fake.DataverseSet{{ID: set, Title: "Rivers", Files: tables}}})
	hydro := fake.NewHydroShare([]fake.HydroResource{{ID: resource, Title: "Rain", Files: folders}}, nil)
	handles := fake.NewDOI(map[string]string{"10.5281/zenodo.6": "https://zenodo.org/doi/10.5281/zenodo.6", "10.7910/DVN/TJCLKP": "https://dataverse.harvard.edu/citation?persistentId=" + set}, nil)
	n, err := fake.NewNetwork(t.TempDir(), map[string]http.Handler{
		"zenodo.org": zenodo, "data.caltech.edu": caltech, store: caltech, "api.figshare.com": fig, fake.FigshareStore: fig, "dataverse.harvard.edu": data, hydroshare.Host: hydro, doi.Host: handles,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// ours is what our readers read, by path: the MD5 of each file.
func ours(t *testing.T, c daypass.Contents, s daypass.Source) map[string]string {
	t.Helper()
	l, err := c.List(t.Context(), s)
	if err != nil || !l.Complete {
		t.Fatalf("%s: %v, %v", s, l.Complete, err)
	}
	out := map[string]string{}
	for _, it := range l.Items {
		r, err := c.Open(t.Context(), s, it, 0)
		if err != nil {
			t.Fatalf("%s: %q: %v", s, it.Parts, err)
		}
		sum := md5.New()
		_, err = io.Copy(sum, r)
		r.Close()
		if err != nil {
			t.Fatalf("%s: %q: %v", s, it.Parts, err)
		}
		out[strings.Join(it.Parts, "/")] = hex.EncodeToString(sum.Sum(nil))
	}
	return out
}

// theirs is what repoproviders fetches.
func theirs(t *testing.T, program string, n *fake.Network, question string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fetched")
	cmd := exec.CommandContext(t.Context(), program, "testdata/peer.py", "fetch", question, dir)
	cmd.Env = append(n.Env(), "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"), "TMPDIR="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("repoproviders fetch %s: %v\n%s", question, err, said)
	}
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		sum := md5.Sum(text)
		name, err2 := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = hex.EncodeToString(sum[:])
		if err == nil {
			err = err2
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRepoproviders: a client that is none of ours takes the stand-ins for what they
// stand for, and brings the same files.
func TestRepoproviders(t *testing.T) {
	program := deposittest.Program(t, "DAYPASS_TEST_REPOPROVIDERS")
	n := archives(t)
	config := func(host string) deposit.Config {
		return deposit.Config{Host: host, Base: n.Transport(), Pace: deposit.NewPace(0, 1, time.Now)}
	}
	at, err := doi.Resolve(t.Context(), config(""), "10.5281/zenodo.6")
	if err != nil || at != "https://zenodo.org/doi/10.5281/zenodo.6" {
		t.Fatal(at, err)
	}
	newest, err := invenio.FromDOI(t.Context(), config("zenodo.org"), "10.5281/zenodo.6")
	if err != nil {
		t.Fatal(err)
	}
	for question, c := range map[string]struct {
		contents daypass.Contents
		source   daypass.Source
		files    int
	}{
		"https://zenodo.org/records/7":                    {invenio.New(config("zenodo.org")), daypass.Source{Kind: "invenio", Host: "zenodo.org", ID: "7"}, 7},
		"doi:10.5281/zenodo.6":                            {invenio.New(config("zenodo.org")), daypass.Source{Kind: "invenio", Host: "zenodo.org", ID: newest}, 6},
		"https://zenodo.org/record/18":                    {invenio.New(config("zenodo.org")), daypass.Source{Kind: "invenio", Host: "zenodo.org", ID: "17"}, 8},
		"https://data.caltech.edu/records/abcde-12345":    {invenio.New(config("data.caltech.edu")), daypass.Source{Kind: "invenio", Host: "data.caltech.edu", ID: "abcde-12345"}, 7},
		"https://figshare.com/articles/x/9782777":         {figshare.New(config("figshare.com")), daypass.Source{Kind: "figshare", Host: "figshare.com", ID: "9782777"}, 7},
		"https://figshare.com/articles/x/9782777/1":       {figshare.New(config("figshare.com")), daypass.Source{Kind: "figshare", Host: "figshare.com", ID: "9782777", Ref: "1"}, 5},
		"10.7910/DVN/TJCLKP":                              {dataverse.New(config("dataverse.harvard.edu")), daypass.Source{Kind: "dataverse", Host: "dataverse.harvard.edu", ID: set}, 8},
		"https://www.hydroshare.org/resource/" + resource: {hydroshare.New(config(hydroshare.Host)), daypass.Source{Kind: "hydroshare", Host: hydroshare.Host, ID: resource}, 8},
	} {
		t.Run(question, func(t *testing.T) {
			we, they := ours(t, c.contents, c.source), theirs(t, program, n, question)
			if len(we) != c.files || !maps.Equal(we, they) {
				t.Errorf("ours:   %q\ntheirs: %q", slices.Sorted(maps.Keys(we)), slices.Sorted(maps.Keys(they)))
			}
		})
	}
	if refused := n.Proxy.Refused(); len(refused) > 0 {
		t.Errorf("it also tried %q", refused)
	}
}
