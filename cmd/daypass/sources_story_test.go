package main_test

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/daypass-dev/daypass/fake"
)

// A library is what a story pulls that is not git's, under the hosts' true names.
type library struct {
	network *fake.Network
	drive   *fake.Drive
	zenodo  *fake.Invenio
	canvas  *fake.Canvas
	doi     *fake.DOI
}

// sources: Drive, Zenodo, a Canvas site and doi.org are there from now on, and the key
// of a service account at KEY.
func cmdSources(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: sources")
	}
	const account = "ph142@daypass.iam.gserviceaccount.com"
	key, public, err := fake.NewKeyFile(rand.Reader, account, "k1")
	ts.Check(err)
	l := &library{
		drive: fake.NewDrive(fake.DriveConfig{Seed: fake.DriveSeed{
			Accounts: []fake.ServiceAccount{{Email: account, Keys: map[string]string{"k1": public}}},
			Files: []fake.DriveFile{
				{ID: "fLab1ofPh142", Name: "Lab 1", Type: fake.FolderType, Shared: []string{account}},
				{ID: "fAofLab1Ph", Name: "start.ipynb", Parent: "fLab1ofPh142", Text: "{}"},
				{ID: "fBofLab1Ph", Name: "notes.txt", Parent: "fLab1ofPh142", Text: "one\ntwo\nthree\n"},
				{ID: "fSecretOthers", Name: "Exam", Type: fake.FolderType, Shared: []string{"other@example.org"}},
			},
		}}),
		zenodo: fake.NewInvenio(fake.InvenioConfig{Host: "zenodo.org", Records: []fake.InvenioRecord{
			{ID: "3232985", Parent: "3232984", Title: "River levels", Files: []fake.DepositFile{{Name: "levels.csv", Text: "1,2\n"}, {Name: "README.md", Text: "# Levels\n"}}},
		}}),
		canvas: fake.NewCanvas(fake.CanvasConfig{Host: "canvas.example.edu", Seed: fake.CanvasSeed{
			Users:   []fake.CanvasUser{{ID: 5, Name: "Ada"}},
			Courses: []fake.CanvasCourse{{ID: 42, Name: "PH 142", Students: []int64{5}}},
			Folders: []fake.CanvasFolder{{ID: 1, Context: "courses/42", Name: "course files"}},
			Files:   []fake.CanvasFile{{ID: 9, Folder: 1, Name: "syllabus.md", Text: "# PH 142\n"}},
		}}),
		doi: fake.NewDOI(map[string]string{
			"10.5281/zenodo.3232985": "https://zenodo.org/record/3232985", "10.5281/zenodo.3232984": "https://zenodo.org/doi/10.5281/zenodo.3232984",
			"10.9999/inside": "https://169.254.169.254/latest/meta-data", "10.9999/local": "https://localhost/x", "10.9999/plain": "http://zenodo.org/records/3232985",
			"10.9999/ring": "https://doi.org/10.9999/ring", "10.9999/paper": "https://" + fake.EvilHost + "/article",
		}, nil),
	}
	hosts := map[string]http.Handler{
		fake.DriveHost: l.drive, fake.TokenHost: l.drive, "zenodo.org": l.zenodo, "doi.org": l.doi, "canvas.example.edu": l.canvas,
	}
	for _, h := range l.canvas.Hosts() {
		hosts[h] = l.canvas
	}
	dir := filepath.Join(ts.Getenv("WORK"), ".sources")
	ts.Check(os.Mkdir(dir, 0o700))
	l.network, err = fake.NewNetwork(dir, hosts)
	ts.Check(err)
	ts.Defer(l.network.Close)
	for _, kv := range l.network.Env() {
		k, v, _ := strings.Cut(kv, "=")
		ts.Setenv(k, v)
	}
	ts.Setenv("KEY", filepath.Join(dir, "key.json"))
	ts.Check(os.WriteFile(filepath.Join(dir, "key.json"), key, 0o600))
	ts.Setenv("CANVAS_TOKEN_OF_ADA", l.canvas.NewToken(5))
	stageOf(ts).library = l
}

// drive ID FILE: a file of Drive's has other bytes from now on; drive ID name NAME:
// another name.
func cmdDrive(ts *testscript.TestScript, neg bool, args []string) {
	drive := stageOf(ts).library.drive
	switch {
	case !neg && len(args) == 2:
		drive.Edit(args[0], func(f *fake.DriveFile) { f.Text = ts.ReadFile(args[1]) })
	case !neg && len(args) == 3 && args[1] == "name":
		drive.Edit(args[0], func(f *fake.DriveFile) { f.Name = args[2] })
	default:
		ts.Fatalf("usage: drive ID FILE, or drive ID name NAME")
	}
}

// reached HOST N: the host was asked so many times since the last time; ! reached HOST:
// not once, and nothing was offered elsewhere.
func cmdReached(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] reached HOST")
	}
	l := stageOf(ts).library
	lists := map[string]func() []fake.Request{"drive": l.drive.Requests, "zenodo": l.zenodo.Requests, "canvas": l.canvas.Requests, "doi": l.doi.Requests}
	list := lists[args[0]]
	if list == nil {
		ts.Fatalf("no host %q", args[0])
	}
	st := stageOf(ts)
	n := len(list())
	if more := n > st.reached[args[0]]; more == neg {
		ts.Fatalf("%s was asked %d times, %d of them before", args[0], n, st.reached[args[0]])
	}
	if st.reached == nil {
		st.reached = map[string]int{}
	}
	st.reached[args[0]] = n
	if r := l.network.Proxy.Refused(); len(r) > 0 {
		ts.Fatalf("somebody asked for %q", r)
	}
	if h := l.network.Recorder.Heard(); len(h) > 0 {
		ts.Fatalf("a stranger heard %q", h)
	}
}
