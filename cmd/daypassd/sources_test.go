package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/fake"
)

const (
	courseAccount = "ph142@course.iam.gserviceaccount.com"
	otherAccount  = "bio101@course.iam.gserviceaccount.com"
)

// A library is an office whose service reads two courses' folders.
type library struct {
	*office
	drive *fake.Drive
	kept  string // snapshots.dir
}

func newLibrary(t *testing.T, more string) *library {
	t.Helper()
	seed := fake.DriveSeed{Files: []fake.DriveFile{
		{ID: "fLab1ofPh142", Name: "Lab 1", Type: fake.FolderType, Shared: []string{courseAccount}},
		{ID: "fAofLab1Ph", Name: "start here.ipynb", Parent: "fLab1ofPh142", Text: "{}"}, {ID: "fBofLab1Ph", Name: "data.csv", Parent: "fLab1ofPh142", Text: "1,2\n"},
		{ID: "fBioOf101x", Name: "Bio", Type: fake.FolderType, Shared: []string{otherAccount}}, {ID: "fCofBio101", Name: "secret.txt", Parent: "fBioOf101x", Text: "of bio101\n"},
	}}
	keys := map[string]string{}
	for _, email := range []string{courseAccount, otherAccount} {
		file, public, err := fake.NewKeyFile(rand.Reader, email, "k1")
		if err != nil {
			t.Fatal(err)
		}
		keys[email] = string(file)
		seed.Accounts = append(seed.Accounts, fake.ServiceAccount{Email: email, Keys: map[string]string{"k1": public}})
	}
	l := &library{drive: fake.NewDrive(fake.DriveConfig{Seed: seed})}
	srv := httptest.NewServer(l.drive)
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	account := func(name, email string) string {
		path := filepath.Join(dir, name+".json")
		if err := os.WriteFile(path, []byte(keys[email]), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("    - {account: %s, key: \"file:%s\", groups: [%s-staff], endpoints: {api: %s, token: %s/token}}\n", name, path, name, srv.URL, srv.URL)
	}
	l.kept = filepath.Join(dir, "snapshots")
	l.office = newOffice(t, "sources:\n  dial: [127.0.0.1/32]\n  drive:\n"+account("ph142", courseAccount)+account("bio101", otherAccount)+
		"links: {groups: [instructors]}\nsnapshots: {dir: "+l.kept+"}\n"+more)
	l.edit("dial: [127.0.0.1/32]", "dial: [127.0.0.1/32]\n  hosts: []")
	return l
}

// serving puts the service together and its face in front of it, in this process.
func (l *library) serving() (*service, string) {
	l.t.Helper()
	var out bytes.Buffer
	a := l.app(&out)
	c, err := a.readConfig(l.config)
	if err != nil {
		l.t.Fatal(err)
	}
	svc, err := a.open(context.Background(), c, true)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(svc.close)
	face, err := svc.face(a)
	if err != nil {
		l.t.Fatal(err)
	}
	srv := httptest.NewServer(face)
	l.t.Cleanup(srv.Close)
	return svc, srv.URL + "/"
}

// get asks as a server of somebody's does.
func get(t testing.TB, token, address string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body, res.Header
}

type snapshotTold struct {
	ID, Source, Title, Pack, Folder, Open string
	Same                                  bool
}

func (l *library) snapshot(token, at string, q url.Values) (int, snapshotTold) {
	l.t.Helper()
	for {
		status, body, _ := get(l.t, token, at+"api/v1/snapshots?"+q.Encode())
		var out snapshotTold
		if err := json.Unmarshal(body, &out); err != nil {
			l.t.Fatalf("%d %s", status, body)
		}
		if status != http.StatusAccepted {
			return status, out
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// unpack returns the files of a pack.
func unpack(t testing.TB, pack []byte, id string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	git := func(in io.Reader, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Stdin = dir, in
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git(nil, "init", "-q", "--bare", ".")
	git(bytes.NewReader(pack), "index-pack", "--stdin", "--strict")
	files := map[string]string{}
	for _, name := range strings.Split(strings.TrimSpace(git(nil, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", id+":content")), "\n") {
		files[name] = git(nil, "cat-file", "blob", id+":content/"+name)
	}
	return files
}

// TestDriveLink is the first light: an instructor's link to a private folder, opened
// by a user of the hub who has no account at Google.
func TestDriveLink(t *testing.T) {
	l := newLibrary(t, "")
	svc, at := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("stu", "ph142")
	l.hub.SetGroups("eve", "bio101")
	d := &desk{service: svc}
	tea := l.caller(d, "tea")
	src := daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "fLab1ofPh142"}
	group, folder, open := "ph142", "lab1", "start here.ipynb"
	if _, err := svc.broker.MakeLink(t.Context(), tea, broker.LinkAsk{Name: "ph142-lab1", Source: &src, Audience: &group, Folder: &folder, Open: &open}); err != nil {
		t.Fatal(err)
	}
	stu, eve := l.hub.StartServer("stu", ""), l.hub.StartServer("eve", "")
	status, got := l.snapshot(stu, at, url.Values{"link": {"ph142-lab1"}})
	if status != http.StatusOK || got.Title != "Lab 1" || got.Folder != "lab1" || got.Open != open || got.Pack == "" {
		t.Fatalf("%d %+v", status, got)
	}
	status, pack, head := get(t, stu, at+got.Pack)
	if status != http.StatusOK || head.Get("Content-Type") != "application/x-git-pack" {
		t.Fatalf("%d %s", status, pack)
	}
	if files := unpack(t, pack, got.ID); len(files) != 2 || files["start here.ipynb"] != "{}" || files["data.csv"] != "1,2\n" {
		t.Errorf("%v", files)
	}
	asked := len(l.drive.Requests())
	for what, c := range map[string]struct{ token, address string }{
		"another group": {eve, "api/v1/snapshots?link=ph142-lab1"}, "its pack": {eve, got.Pack}, "the folder itself": {stu, "api/v1/snapshots?source=" + url.QueryEscape(src.String())},
		"another course's": {stu, "api/v1/snapshots?source=drive:drive.google.com/fBioOf101x"}, "none": {eve, "api/v1/snapshots?link=nothing"},
		"an id that was seen": {eve, "api/v1/snapshots/" + got.ID + "?source=" + url.QueryEscape(src.String())},
	} {
		status, body, _ := get(t, c.token, at+c.address)
		if status != http.StatusForbidden && status != http.StatusNotFound || !bytes.Contains(body, []byte("DP-723")) || bytes.Contains(body, []byte("Lab 1")) {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
	if n := len(l.drive.Requests()) - asked; n != 0 {
		t.Errorf("what is refused costs %d requests", n)
	}
	if _, same := l.snapshot(stu, at, url.Values{"link": {"ph142-lab1"}, "have": {got.ID}}); !same.Same || same.Pack != "" {
		t.Errorf("again: %+v", same)
	}
	if list, err := svc.broker.LinksOf(t.Context(), tea); err != nil || len(list) != 1 || list[0].Pulls != 2 || list[0].Failures != 0 {
		t.Errorf("counted: %+v, %v", list, err)
	}
}

// TestGitLink: a private repository, by the content App, through our own proxy.
func TestGitLink(t *testing.T) {
	l := newLibrary(t, "")
	svc, at := l.serving()
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	d := &desk{service: svc}
	if err := l.world.Local.Add(fake.Seed{Installations: []fake.Installation{{ID: 7100, App: fake.CampusPushApp, Account: "uni-course", Repos: []int64{fake.CampusHomeworkRepo}}}}); err != nil {
		t.Fatal(err)
	}
	tea := l.connect(d, "tea", fake.CampusInstructor)
	src, group := daypass.Source{Kind: "git", Host: l.host(), ID: "uni-course/homework"}, "ph142"
	if _, err := svc.broker.MakeLink(t.Context(), tea, broker.LinkAsk{Name: "homework", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	stu := l.hub.StartServer("stu", "")
	status, got := l.snapshot(stu, at, url.Values{"link": {"homework"}})
	if status != http.StatusOK || got.Pack == "" {
		t.Fatalf("%d %+v", status, got)
	}
	_, pack, _ := get(t, stu, at+got.Pack)
	if files := unpack(t, pack, got.ID); files["README.md"] != "# homework\n" || files["week1.ipynb"] == "" {
		t.Errorf("%v", files)
	}
	bad := src
	bad.Ref = "no-such-branch"
	if _, err := svc.broker.TestSource(t.Context(), tea, bad, ""); err == nil || !strings.Contains(err.Error(), "no such branch") {
		t.Errorf("a branch that is not there: %v", err)
	}
}

// TestSourcesConfig: what cannot be meant is an error that says which key.
func TestSourcesConfig(t *testing.T) {
	for more, says := range map[string]string{
		"sources: {hosts: [Zenodo.org]}":                                                             "sources.hosts",
		"sources: {hosts: ['https://zenodo.org']}":                                                   "sources.hosts",
		"sources: {dial: [intranet]}":                                                                "sources.dial",
		"sources: {drive: [{account: PH}]}":                                                          `"PH" is no name`,
		"sources: {drive: [{account: ph}]}":                                                          "needs one of key, identity and federation",
		"sources: {drive: [{account: ph, key: 'file:/k', identity: metadata}]}":                      "needs one of key",
		"sources: {drive: [{account: ph, identity: mine, address: a@b.c}]}":                          `write "metadata"`,
		"sources: {drive: [{account: ph, identity: metadata}]}":                                      "needs its address",
		"sources: {drive: [{account: ph, key: 'file:/k', folders: ['https://drive.google.com/x']}]}": "no id of a folder",
		"sources: {drive: [{account: ph, key: 'file:/k', shortcuts: [true, ' ']}]}":                  "no id of a folder",
		"sources: {drive: [{account: ph, key: 'file:/k', groups: ['']}]}":                            "a group without a name",
		"sources: {drive: [{account: ph, key: 'file:/k'}, {account: ph, key: 'file:/k'}]}":           "two accounts",
		"sources: {drive: [{account: ph, key: 'file:/k', project: 'a project'}]}":                    "no id of a project",
		"sources: {drive_shared_by: 101}":                                                            "sources.drive_shared_by",
		"sources: {drive: [{account: ph, secret: x}]}":                                               "there is no key secret",
		"sources: {canvas: [{host: canvas.example.edu}]}":                                            "client_id and client_secret",
		"sources: {canvas: [{host: github.com, client_id: a, client_secret: 'env:X'}]}":              "git host too",
		"sources: {rules: [{name: x, sources: ['drive:drive.google.com/A']}]}":                       "name groups or users",
		"sources: {rules: [{name: x, groups: [a], sources: ['https://drive.google.com/A']}]}":        "no source as the service writes it",
		"sources: {rules: [{name: x, groups: [a]}]}":                                                 "name sources",
		"sources:\n":                  `"sources" says nothing`,
		"links: {groups: }":           `"groups" says nothing`,
		"links: {max: forever}":       "links.max",
		"links: {max: 400d}":          "366d at most",
		"snapshots: {dir: here}":      "no full path",
		"snapshots: {max_size: lots}": "snapshots.max_size",
		"snapshots: {max_file: -1MB}": "snapshots.max_file",
		"snapshots: {max_files: -1}":  "snapshots.max_files",
		"snapshots: {time: soon}":     "snapshots.time",
	} {
		path := filepath.Join(t.TempDir(), "server.yaml")
		if err := os.WriteFile(path, []byte(bareConfig+more+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &app{getenv: func(string) string { return "" }}
		if _, err := s.readConfig(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: want a word about %s, got %v", more, says, err)
		}
	}
}

// TestSourceRules: a rule that would never let anybody read keeps the service from
// starting, by a message that says which line it is and what to write.
func TestSourceRules(t *testing.T) {
	const apps = "github: [{push: {client_id: Iv1, client_secrets: ['env:Y']}, content: {client_id: Iv2, key: 'file:/k'}}, {host: ghe.example.edu, push: {client_id: Iv3, client_secrets: ['env:Y']}}]\n"
	const drive = "\n  drive: [{account: ph142, key: 'file:/k', folders: [1AbC]}]"
	for name, c := range map[string]struct{ sources, who, more, says string }{
		"a folder":                     {sources: "[drive:drive.google.com/1AbC]", more: drive},
		"a folder in it":               {sources: "['drive:drive.google.com/1AbC#week%201']", more: drive},
		"a repository":                 {sources: "['git:github.com/uni/course@main#labs']"},
		"a record":                     {sources: "[invenio:zenodo.org/1234]", more: "\n  hosts: [zenodo.org]"},
		"people":                       {sources: "[git:github.com/uni/course]", who: "users: [ada, 'grace hopper']"},
		"no account":                   {sources: "[drive:drive.google.com/1AbC]", says: "line 11: sources.rules: rule 1, \"x\": \"drive:drive.google.com/1AbC\" has no account that could read it: name one under sources.drive"},
		"an account for a host":        {sources: "[drive:ph142/1AbC]", more: drive, says: "line 11: .*write drive:drive.google.com/ID"},
		"a resource key":               {sources: "['drive:drive.google.com/1AbC@0-key']", more: drive, says: "line 11: .*resource key"},
		"an unknown kind":              {sources: "[dropbox:dropbox.com/x]", says: "line 11: .*kind that there is not"},
		"a canvas":                     {sources: "[canvas:canvas.example.edu/courses/42]", more: "\n  canvas: [{host: canvas.example.edu, client_id: a, client_secret: 'env:X'}]", says: "line 11: .*make a link"},
		"a web folder":                 {sources: "[webdav:dav.example.edu/x]", more: "\n  hosts: [dav.example.edu]", says: "line 11: .*does not read"},
		"a DOI":                        {sources: "['doi:doi.org/10.5281/zenodo.7']", more: "\n  hosts: [doi.org]", says: "line 11: .*stands for"},
		"an unlisted archive":          {sources: "[invenio:zenodo.org/1234]", more: "\n  hosts: [zenodo.example]", says: "line 11: .*list zenodo.org under sources.hosts"},
		"another git host":             {sources: "[git:gitlab.com/uni/course]", more: "\n  hosts: [gitlab.com]", says: "line 11: .*gitlab.com has none here"},
		"a host without a content App": {sources: "[git:ghe.example.edu/uni/course]", says: "line 11: .*ghe.example.edu has none here"},
		"no repository":                {sources: "[git:github.com/uni]", says: "line 11: .*cannot be the name"},
		"steps":                        {sources: "['git:github.com/uni/course#../x']", says: "line 11: .*cannot be the name"},
		"an address":                   {sources: "['https://drive.google.com/drive/folders/1AbC']", more: drive, says: "line 11: .*no source as the service writes it"},
		"the second of them":           {sources: "\n        - git:github.com/uni/course\n        - git:github.com/uni", says: "line 13: .*\"git:github.com/uni\" cannot"},
		"a pattern of groups":          {sources: "[git:github.com/uni/course]", who: "groups: [ph142, 'lab-*']", says: `line 10: .*groups: "lab-\*" is a pattern`},
		"a group that cannot be seen":  {sources: "[git:github.com/uni/course]", who: `groups: ["ph\u200b142"]`, says: "line 10: .*cannot be seen"},
		"spaces":                       {sources: "[git:github.com/uni/course]", who: "users: [' ada']", says: "line 10: .*users: .*spaces"},
		"no group":                     {sources: "[git:github.com/uni/course]", who: "groups: ['']", says: "line 10: .*is no name"},
		"nobody":                       {sources: "[git:github.com/uni/course]", who: "groups: []", says: "line 9: .*name groups or users"},
		"nothing":                      {sources: "[]", says: "line 11: .*name sources"},
	} {
		text := strings.Replace(bareConfig, "github: [{push: {client_id: Iv1, client_secrets: [\"env:Y\"]}}]\n", apps, 1)
		text += "# a line that says nothing\nsources:\n  rules:\n    - name: x\n      " + cmp.Or(c.who, "groups: [ph142]") + "\n      sources: " + c.sources + c.more + "\n"
		path := filepath.Join(t.TempDir(), "server.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &app{getenv: func(string) string { return "" }}
		conf, err := s.readConfig(path)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if of, err := conf.brokerSources(); err != nil || len(of.Rules) != 1 {
				t.Errorf("%s: %v %v", name, of.Rules, err)
			}
			continue
		}
		if err == nil || !regexp.MustCompile("(?s)"+c.says).MatchString(err.Error()) {
			t.Errorf("%s: want %s, got %v", name, c.says, err)
		}
	}
}

// TestForeignShortcut: a shortcut to another folder of the same account, which is
// enrolled, is not followed, but where the configuration names it for that.
func TestForeignShortcut(t *testing.T) {
	for _, c := range []struct {
		named string
		want  int
	}{{"", 2}, {", shortcuts: [fExamOf142]", 3}} {
		l := newLibrary(t, "")
		l.edit("groups: [ph142-staff]", "groups: [ph142-staff], folders: [fExamOf142]"+c.named)
		l.drive.Edit("fExamOf142", func(f *fake.DriveFile) {
			*f = fake.DriveFile{ID: "fExamOf142", Name: "Exams", Type: fake.FolderType, Shared: []string{courseAccount}}
		})
		l.drive.Edit("fKeyOfExam", func(f *fake.DriveFile) {
			*f = fake.DriveFile{ID: "fKeyOfExam", Name: "answers.txt", Parent: "fExamOf142", Text: "42"}
		})
		l.drive.Edit("fWayOut142", func(f *fake.DriveFile) {
			*f = fake.DriveFile{ID: "fWayOut142", Name: "way", Type: fake.ShortcutType, Parent: "fLab1ofPh142", Target: "fExamOf142"}
		})
		svc, at := l.serving()
		l.hub.SetGroups("tea", "instructors", "ph142-staff")
		l.hub.SetGroups("stu", "ph142")
		src, group := daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "fLab1ofPh142"}, "ph142"
		if _, err := svc.broker.MakeLink(t.Context(), l.caller(&desk{service: svc}, "tea"), broker.LinkAsk{Name: "ph142-lab1", Source: &src, Audience: &group}); err != nil {
			t.Fatal(err)
		}
		stu := l.hub.StartServer("stu", "")
		_, got := l.snapshot(stu, at, url.Values{"link": {"ph142-lab1"}})
		_, pack, _ := get(t, stu, at+got.Pack)
		if files := unpack(t, pack, got.ID); len(files) != c.want || (files["way/answers.txt"] == "42") != (c.want == 3) {
			t.Errorf("%q: %v", c.named, files)
		}
	}
}

// TestIncludeStorm: a student who asks for ever other patterns makes few full reads; what
// means the same is the same, what is there is not read again, and the class goes on.
func TestIncludeStorm(t *testing.T) {
	l := newLibrary(t, "")
	l.edit("snapshots: {", "snapshots: {max_file: 1KB, max_source: 40KB, ")
	for i := range 40 {
		id := fmt.Sprintf("fLarge%06d", i)
		l.drive.Edit(id, func(f *fake.DriveFile) {
			*f = fake.DriveFile{ID: id, Name: fmt.Sprintf("large%02d.bin", i), Parent: "fLab1ofPh142", Text: strings.Repeat("x", 1500+i)}
		})
	}
	svc, at := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	src, group := daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "fLab1ofPh142"}, "ph142"
	if _, err := svc.broker.MakeLink(t.Context(), l.caller(&desk{service: svc}, "tea"), broker.LinkAsk{Name: "ph142-lab1", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	l.hub.SetGroups("stu", "ph142")
	l.hub.SetGroups("bob", "ph142")
	stu, bob := l.hub.StartServer("stu", ""), l.hub.StartServer("bob", "")
	ask := func(token string, include ...string) (int, snapshotTold) {
		return l.snapshot(token, at, url.Values{"link": {"ph142-lab1"}, "include": include})
	}
	opened := func() (n int) {
		for _, r := range l.drive.Requests() {
			if strings.Contains(r.RawQuery, "alt=media") {
				n++
			}
		}
		return n
	}
	_, base := ask(stu)
	before := opened()
	for _, p := range []string{"none*", "start here.ipynb", "data.csv", "[", "x/../y"} {
		if status, got := ask(stu, p); status != http.StatusOK || got.ID != base.ID {
			t.Errorf("%s: %d %+v", p, status, got)
		}
	}
	_, one := ask(stu, "large00.bin")
	for _, same := range [][]string{{"large00.*"}, {"large00.bin", "none"}, {"./large00.bin"}} {
		if status, got := ask(stu, same...); status != http.StatusOK || got.ID != one.ID || one.ID == base.ID {
			t.Errorf("%s: %d %+v", same, status, got)
		}
	}
	if n := opened() - before; n != 1 {
		t.Errorf("%d files were read for one large one", n)
	}
	_, pack, _ := get(t, stu, at+one.Pack)
	if files := unpack(t, pack, one.ID); len(files["large00.bin"]) != 1500 || files["data.csv"] != "1,2\n" || files["large01.bin"] != "" {
		t.Errorf("%d files", len(files))
	}
	if status, _ := ask(stu, "*"); status == http.StatusOK {
		t.Error("all large files together are more than a source may have, and come")
	}
	refused := 0
	for i := range 40 {
		if status, _ := ask(stu, fmt.Sprintf("large%02d.bin", i)); status != http.StatusOK {
			refused++
		}
	}
	if list, err := svc.readers.depot.Readers(); err != nil || refused < 20 || len(list) != 1 {
		t.Errorf("%d of 40 were refused; %v %v", refused, list, err)
	}
	if status, got := ask(stu); status != http.StatusOK || got.ID != base.ID {
		t.Errorf("what is there: %d %+v", status, got)
	}
	if status, _ := ask(bob, "large39.bin"); status != http.StatusOK {
		t.Errorf("somebody else: %d", status)
	}
}

// TestAdminSources: what an admin sees, enrols and ends.
func TestAdminSources(t *testing.T) {
	l := newLibrary(t, "")
	l.edit("groups: [bio101-staff]", "groups: [bio101-staff, bio102-staff], folders: [fBioOf101x]")
	l.wants(0, []string{courseAccount, otherAccount, "fBioOf101x", "the configuration", "never", "Snapshots: 0 folders"}, "sources", "list")
	l.wants(0, []string{"(now): fine"}, "sources", "list", "--check")
	l.wants(0, []string{"Enrolled drive:drive.google.com/fLab1ofPh142"}, "sources", "enrol", "fLab1ofPh142", "--account", "bio101")
	l.wants(0, []string{"(now): DP-4"}, "sources", "list", "--check") // bio101 does not see it
	l.wants(2, []string{"DP-745"}, "sources", "enrol", "fLab1ofPh142", "--account", "nobody")
	l.wants(0, []string{"off the list"}, "sources", "unenrol", "fLab1ofPh142", "--account", "bio101")
	l.wants(2, []string{"DP-746"}, "sources", "unenrol", "fLab1ofPh142", "--account", "bio101")
	l.wants(0, []string{`"account":"ph142"`, `"count":0`}, "sources", "list", "--json")
	l.wants(0, []string{"No links."}, "links", "list")
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	d := l.open()
	src, group := daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "fLab1ofPh142"}, "ph142"
	if _, err := d.broker.MakeLink(t.Context(), l.caller(d, "tea"), broker.LinkAsk{Name: "ph142-lab1", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	l.wants(0, []string{"ph142-lab1", "tea", "live"}, "links", "list")
	l.wants(0, []string{"has ended"}, "links", "end", "ph142-lab1")
	l.wants(4, []string{"DP-733"}, "links", "end", "nothing")
	l.wants(0, []string{`"state":"ended"`}, "links", "list", "--json")
	l.wants(0, []string{"link", "enrol"}, "events")
}

// TestCanvasLink: the teacher first, then a student, by one link: each by their own
// account, and what is hidden from the student comes in no form.
func TestCanvasLink(t *testing.T) {
	ids := []int64{42, 43}
	site := fake.NewCanvas(fake.CanvasConfig{Switches: fake.CanvasSwitches{Direct: true}, Seed: fake.CanvasSeed{
		Keys:    []fake.CanvasKey{{ID: "170000000000007", Secret: "canary-canvas-secret-0123456789", Redirects: []string{"127.0.0.1"}}},
		Users:   []fake.CanvasUser{{ID: ids[0], Name: "Tea", Email: "tea@example.edu"}, {ID: ids[1], Name: "Stu", Email: "stu@example.edu"}},
		Courses: []fake.CanvasCourse{{ID: 7, Name: "Physics 142", Teachers: ids[:1], Students: ids[1:]}},
		Folders: []fake.CanvasFolder{{ID: 70, Context: "courses/7", Name: "course files"}},
		Files:   []fake.CanvasFile{{ID: 701, Folder: 70, Name: "lab1.ipynb", Text: "{}"}, {ID: 702, Folder: 70, Name: "exam-solutions.txt", Text: "forty-two and nothing else\n", Hidden: true}, {ID: 703, Folder: 70, Name: "quiz-key.txt", Text: "not yet", Hidden: true}},
	}})
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	at := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "canvas: [{host: \""+at+"\", client_id: \"170000000000007\", client_secret: \"file:"+l.file("etc/canvas-secret", "canary-canvas-secret-0123456789")+"\"}]")
	svc, service := l.serving()
	by := l.later(svc)
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	d := &desk{service: svc}
	connect := func(name string, id int64) daypass.Caller {
		c := l.caller(d, name)
		b := c
		b.Via, b.Server = daypass.ViaBrowser, daypass.Server{}
		to, err := svc.broker.StartConsent(t.Context(), b, broker.ConsentStart{Session: "s", Host: at, Redirect: l.url + "oauth/github/" + at + "/callback"})
		if err != nil {
			t.Fatal(err)
		}
		back, err := site.Authorize(to, id)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(back)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := svc.broker.FinishConsent(t.Context(), b, broker.ConsentEnd{Session: "s", Host: at, State: u.Query().Get("state"), Code: u.Query().Get("code")}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	tea := connect("tea", ids[0])
	src, group := daypass.Source{Kind: "canvas", Host: at, ID: "courses/7"}, "ph142"
	if _, err := svc.broker.MakeLink(t.Context(), tea, broker.LinkAsk{Name: "ph142-files", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	read := func(token string) (map[string]string, []byte) {
		status, got := l.snapshot(token, service, url.Values{"link": {"ph142-files"}})
		if status != http.StatusOK {
			t.Fatalf("%d %+v", status, got)
		}
		_, pack, _ := get(t, token, service+got.Pack)
		return unpack(t, pack, got.ID), pack
	}
	if files, _ := read(l.hub.ServerToken("tea", "")); files["exam-solutions.txt"] == "" || files["lab1.ipynb"] != "{}" {
		t.Errorf("the teacher: %v", files)
	}
	stu := l.hub.StartServer("stu", "")
	status, body, _ := get(t, stu, service+"api/v1/snapshots?link=ph142-files")
	if !bytes.Contains(body, []byte("DP-816")) || !bytes.Contains(body, []byte("connect/"+at)) {
		t.Errorf("before they connect: %d %s", status, body)
	}
	connect("stu", ids[1])
	files, _ := read(stu)
	if len(files) != 1 || files["lab1.ipynb"] != "{}" {
		t.Errorf("the student: %v", files)
	}
	// What is locked or hidden later is in nothing that they are given for a fresh folder.
	for _, now := range []struct {
		file         fake.CanvasFile
		given, named bool
	}{{fake.CanvasFile{}, true, true}, {fake.CanvasFile{Awaits: true, Unlocks: time.Now().Add(24 * 365 * time.Hour)}, false, true}, {fake.CanvasFile{Hidden: true}, false, false}} {
		site.Edit(703, func(f *fake.CanvasFile) {
			f.Name, f.Text, f.Folder, f.Hidden, f.Awaits, f.Unlocks = "quiz-key.txt", "forty-three", 70, now.file.Hidden, now.file.Awaits, now.file.Unlocks
		})
		by.Add(int64(time.Hour))
		files, pack := read(stu)
		if text := everything(t, pack); (files["quiz-key.txt"] != "") != now.given || strings.Contains(text, "forty-three") != now.given || strings.Contains(text, "quiz-key") != now.named {
			t.Errorf("%+v: the student is sent %q", now.file, text)
		}
	}
	for _, secret := range site.Secrets() {
		if _, body, _ := get(t, stu, service+"api/v1/snapshots?link=ph142-files"); bytes.Contains(body, []byte(secret)) {
			t.Error("a token of Canvas's is in an answer")
		}
	}
	for _, secret := range append(site.Secrets(), "verifier=") {
		if bytes.Contains(l.keptObjects(), []byte(secret)) {
			t.Errorf("%.12s… is in what is kept", secret)
		}
	}
	_, got := l.snapshot(stu, service, url.Values{"link": {"ph142-files"}})
	l.held(svc.readers.depot, src, got.ID, 2*time.Second)
	l.forgotten(svc, "stu", 2)
}

// held has a snapshot in use for a while, as a slow download has it.
func (l *library) held(d *depot.Depot, src daypass.Source, id string, long time.Duration) {
	l.t.Helper()
	all, err := d.Readers()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, as := range all {
		if p, err := d.Pack(l.t.Context(), depot.Key{Source: src, As: as}, id, ""); err == nil {
			time.AfterFunc(long, func() { p.Close() })
			return
		}
	}
	l.t.Fatalf("nobody of %q has %s", all, id)
}

// keptObjects is all that snapshots.dir has: each file, and each object of git.
func (l *library) keptObjects() []byte {
	l.t.Helper()
	var all []byte
	err := filepath.WalkDir(l.kept, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && e.Name() == "repo.git" {
			out, err := exec.CommandContext(l.t.Context(), "git", "-C", path, "cat-file", "--batch-all-objects", "--batch").Output()
			all = append(all, out...)
			return err
		}
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			all = append(all, data...)
			return err
		}
		return nil
	})
	if err != nil || !bytes.Contains(all, []byte("lab1.ipynb")) {
		l.t.Fatalf("what is kept cannot be read: %v", err)
	}
	return all
}

// forgotten cuts somebody off, and waits until nothing is kept that was read as them;
// what others read stays.
func (l *library) forgotten(svc *service, name string, had int) {
	l.t.Helper()
	ctx, stop := context.WithCancel(l.t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { _ = svc.broker.Run(ctx) })
	all.Go(func() { svc.readers.tend(ctx, svc.metrics) })
	readers := func() int {
		list, err := svc.readers.depot.Readers()
		if err != nil {
			l.t.Fatal(err)
		}
		return len(list)
	}
	if n := readers(); n != had {
		l.t.Fatalf("%d people's are kept", n)
	}
	if _, err := svc.broker.RevokeUser(ctx, name, "root"); err != nil {
		l.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); readers() != had-1; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("%d people's are kept after one was cut off", readers())
		}
	}
}

// TestPublicRecord: what is public at a listed host is read for everybody of the hub,
// without a link and by nobody's account.
func TestPublicRecord(t *testing.T) {
	site := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{{ID: "7", Title: "Levels", Files: []fake.DepositFile{{Name: "levels.csv", Text: "day,level\n1,2.30\n"}}}}})
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	at := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+at+"\"]")
	_, service := l.serving()
	stu := l.hub.StartServer("stu", "")
	src := daypass.Source{Kind: "invenio", Host: at, ID: "7"}
	status, got := l.snapshot(stu, service, url.Values{"source": {src.String()}})
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, got)
	}
	_, pack, _ := get(t, stu, service+got.Pack)
	if files := unpack(t, pack, got.ID); files["levels.csv"] != "day,level\n1,2.30\n" {
		t.Errorf("%v", files)
	}
	src.Host = "127.0.0.1:1"
	if status, body, _ := get(t, stu, service+"api/v1/snapshots?source="+url.QueryEscape(src.String())); !bytes.Contains(body, []byte("DP-723")) {
		t.Errorf("a host that is not listed: %d %s", status, body)
	}
}
