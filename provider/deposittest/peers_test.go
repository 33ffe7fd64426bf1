package deposittest_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
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
	"github.com/daypass-dev/daypass/provider/artifact"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/doi"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/provider/figshare"
	"github.com/daypass-dev/daypass/provider/google"
	"github.com/daypass-dev/daypass/provider/hydroshare"
	"github.com/daypass-dev/daypass/provider/invenio"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const (
	set      = "doi:10.7910/DVN/TJCLKP"
	resource = "76502ab28c5744f98e2bbad5155e39c7"
	store    = "s3.us-west-2.amazonaws.com"
	folder   = "1OBwu72mlrWymv8DLepOwPY-GWHPrgYN8"
	flat     = "1sokbMclA4UaiXPdBBGyThlBEGv961psp"
	// flatHash is what daypass says of the files of flat too: cmd/daypass/repoproviders_test.go.
	// Of an older rclone, which knows no other checksum of Drive's than MD5, it is oldHash.
	oldHash  = "x4w6lBsvsq9PP368KnOxjHJ_C7-OLy1dNLGf_6qF3W8="
	flatHash = "gqh1mcRZ4G332lspAOfJROM84jFfNMonUx0aitgX7uY="
)

// archives are the stand-ins under their true names. key is one that reads the folder of
// Drive.
func archives(t *testing.T, key deposittest.Key) *fake.Network {
	t.Helper()
	listed, folders := deposittest.Files(deposittest.Flat()), deposittest.Files(deposittest.Folders())
	var tables []fake.DataverseFile
	for _, f := range folders {
		tables = append(tables, fake.DataverseFile{DepositFile: f, Table: strings.HasSuffix(f.Name, ".csv")})
	}
	zenodo := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{
		{ID: "7", Parent: "6", Title: "Lab 1", Files: listed}, {ID: "8", Parent: "6", Title: "Lab 1, again", Files: listed[1:]}, {ID: "18", Parent: "17", Files: []fake.DepositFile{{Name: "lab.zip", Text: deposittest.Zip(t, "lab-1.0/", deposittest.Folders())}}},
	}})
	caltech := fake.NewInvenio(fake.InvenioConfig{Store: store, Quiet: true, Records: []fake.InvenioRecord{{ID: "abcde-12345", Parent: "abcde-12344", Files: listed}}})
	fig := fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{{ID: 9782777, Title: "Rivers", Files: listed[2:]}, {ID: 9782777, Title: "Rivers", Files: listed}}})
	data := fake.NewDataverse(fake.DataverseConfig{Sets: []fake.DataverseSet{{ID: set, Title: "Rivers", Files: tables}}})
	hydro := fake.NewHydroShare([]fake.HydroResource{{ID: resource, Title: "Rain", Files: folders}}, nil)
	handles := fake.NewDOI(map[string]string{"10.5281/zenodo.6": "https://zenodo.org/doi/10.5281/zenodo.6", "10.7910/DVN/TJCLKP": "https://dataverse.harvard.edu/citation?persistentId=" + set}, nil)
	catalogue := fake.NewCKAN("/data", []fake.CKANDataset{{ID: "90fed587-1364-4f33-a9ee-208181dc0b97", Name: "rivers", Files: listed}}, nil)
	artifacts := fake.NewArtifacts(deposittest.Token, []fake.ActionsArtifact{{Repo: "octo/course", Number: 77, Name: "dist", Zip: deposittest.Zip(t, "dist/", deposittest.Folders())}}, nil, nil)
	cloud := drives(key)
	n, err := fake.NewNetwork(t.TempDir(), map[string]http.Handler{
		"ckan.example.org": catalogue, "api.github.com": artifacts, fake.ActionsStore: artifacts, fake.DriveHost: cloud, fake.TokenHost: cloud,
		"zenodo.org": zenodo, "data.caltech.edu": caltech, store: caltech, "api.figshare.com": fig, fake.FigshareStore: fig, "dataverse.harvard.edu": data, hydroshare.Host: hydro, doi.Host: handles,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// drives is a Drive with one folder that the key's account may read.
func drives(key deposittest.Key) *fake.Drive {
	seed := fake.DriveSeed{
		Accounts: []fake.ServiceAccount{{Email: deposittest.Account, Keys: key.Keys()}},
		Files:    []fake.DriveFile{{ID: folder, Name: "public", Type: fake.FolderType, Shared: []string{deposittest.Account}}, {ID: flat, Name: "flat", Type: fake.FolderType, Shared: []string{deposittest.Account}}},
	}
	for n, f := range driven()[:2] {
		seed.Files = append(seed.Files, fake.DriveFile{ID: fmt.Sprintf("flat%08d", n), Name: f.Parts[0], Parent: flat, Text: f.Text})
	}
	deposittest.Plant(folder, driven(), func(n, depth int, name, in string) string {
		id := fmt.Sprintf("folder%06d", 10*n+depth)
		seed.Files = append(seed.Files, fake.DriveFile{ID: id, Name: name, Type: fake.FolderType, Parent: in})
		return id
	}, func(n int, f providertest.File, in string) string {
		id := fmt.Sprintf("file%08d", n)
		seed.Files = append(seed.Files, fake.DriveFile{ID: id, Name: f.Parts[len(f.Parts)-1], Parent: in, Text: f.Text})
		return id
	})
	return fake.NewDrive(fake.DriveConfig{Seed: seed})
}

// driven are files that rclone brings under their own names.
func driven() []providertest.File {
	return []providertest.File{{Parts: []string{"a.csv"}, Text: "1\n"}, {Parts: []string{"übung \"1\".txt"}, Text: "2\n"}, {Parts: []string{"lab1", "start.ipynb"}, Text: "{}"}, {Parts: []string{"lab1", "data", "b.bin"}, Text: "\x00\xff"}}
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

// A peer is repoproviders, with a key of the stand-ins' in place of its own.
type peer struct {
	program, rclone string
	key             deposittest.Key
	network         *fake.Network
}

func (p peer) run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.program, append([]string{"testdata/peer.py"}, args...)...)
	cmd.Env = append(p.network.Env(), "HOME="+t.TempDir(), "PATH="+filepath.Dir(p.rclone)+":"+os.Getenv("PATH"), "TMPDIR="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "PEER_TOKEN="+deposittest.Token, "PEER_KEY="+string(p.key.File))
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("repoproviders %q: %v\n%s", args, err, said)
	}
	return said
}

// fetched is what it fetches.
func (p peer) fetched(t *testing.T, question string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fetched")
	p.run(t, "fetch", question, dir)
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
	key := deposittest.NewKey()
	n := archives(t, key)
	them := peer{deposittest.Program(t, "DAYPASS_TEST_REPOPROVIDERS"), deposittest.Program(t, "DAYPASS_TEST_RCLONE"), key, n}
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
	tokens, err := google.Key(google.Config{Base: n.Transport()}, key.File)
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := drive.New(drive.Config{Token: tokens.Token, Renew: tokens.Renew, Email: tokens.Email, Base: n.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	login := config(artifact.Host)
	login.Token = deposittest.Secret
	for question, c := range map[string]struct {
		contents daypass.Contents
		source   daypass.Source
		files    int
	}{
		"https://zenodo.org/records/7":                               {invenio.New(config("zenodo.org")), daypass.Source{Kind: "invenio", Host: "zenodo.org", ID: "7"}, 7},
		"doi:10.5281/zenodo.6":                                       {invenio.New(config("zenodo.org")), daypass.Source{Kind: "invenio", Host: "zenodo.org", ID: newest}, 6},
		"https://zenodo.org/record/18":                               {invenio.New(config("zenodo.org")), daypass.Source{Kind: "invenio", Host: "zenodo.org", ID: "17"}, 8},
		"https://data.caltech.edu/records/abcde-12345":               {invenio.New(config("data.caltech.edu")), daypass.Source{Kind: "invenio", Host: "data.caltech.edu", ID: "abcde-12345"}, 7},
		"https://figshare.com/articles/x/9782777":                    {figshare.New(config("figshare.com")), daypass.Source{Kind: "figshare", Host: "figshare.com", ID: "9782777"}, 7},
		"https://figshare.com/articles/x/9782777/1":                  {figshare.New(config("figshare.com")), daypass.Source{Kind: "figshare", Host: "figshare.com", ID: "9782777", Ref: "1"}, 5},
		"10.7910/DVN/TJCLKP":                                         {dataverse.New(config("dataverse.harvard.edu")), daypass.Source{Kind: "dataverse", Host: "dataverse.harvard.edu", ID: set}, 8},
		"https://github.com/octo/course/actions/runs/1/artifacts/77": {artifact.New(login), daypass.Source{Kind: "artifact", Host: artifact.Host, ID: "octo/course/77"}, 8},
		"https://drive.google.com/drive/folders/" + folder:           {cloud, daypass.Source{Kind: "drive", Host: drive.Host, ID: folder}, 4},
		"https://www.hydroshare.org/resource/" + resource:            {hydroshare.New(config(hydroshare.Host)), daypass.Source{Kind: "hydroshare", Host: hydroshare.Host, ID: resource}, 8},
	} {
		t.Run(question, func(t *testing.T) {
			we, they := ours(t, c.contents, c.source), them.fetched(t, question)
			if len(we) != c.files || !maps.Equal(we, they) {
				t.Errorf("ours:   %q\ntheirs: %q", slices.Sorted(maps.Keys(we)), slices.Sorted(maps.Keys(they)))
			}
		})
	}
	if said := them.run(t, "resolve", "https://drive.google.com/drive/folders/"+flat); !strings.Contains(string(said), flatHash) && !strings.Contains(string(said), oldHash) {
		t.Errorf("the hash of a folder of Drive: %s", said)
	}
	// Release 0.1.10 knows no CKAN, though its repository does by now. When this fails one
	// does: add it above.
	if said := them.run(t, "resolve", "https://ckan.example.org/data/dataset/rivers"); strings.Contains(string(said), "CKAN") {
		t.Errorf("it reads CKAN by now: %s", said)
	}
	if refused := n.Proxy.Refused(); len(refused) > 0 {
		t.Errorf("it also tried %q", refused)
	}
}
