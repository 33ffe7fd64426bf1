package main

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/egress"
	"github.com/daypass-dev/daypass/fake"
)

// later lets what a service keeps of sources grow older, by as many nanoseconds as the
// result says.
func (l *library) later(svc *service) *atomic.Int64 {
	l.t.Helper()
	limits, err := svc.config.Snapshots.limits()
	if err != nil {
		l.t.Fatal(err)
	}
	var by atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(by.Load())) }
	svc.readers.depot.Close()
	svc.readers.depot, err = depot.New(depot.Config{Dir: svc.config.Snapshots.Dir, Git: egress.Bound(svc.readers.plainGit(), egress.Bounds{}), Limits: limits, Now: now, Log: svc.log})
	if err != nil {
		l.t.Fatal(err)
	}
	svc.readers.now = now
	return &by
}

// everything is all that is in a pack, uncompressed; one that is a difference is put
// together with what another one has.
func everything(t *testing.T, packs ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	git := func(in []byte, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%.500s", args, err, out)
		}
		return string(out)
	}
	git(nil, "init", "-q", "--bare", ".")
	for _, pack := range packs {
		git(pack, "index-pack", "--stdin", "--strict", "--fix-thin")
	}
	return git(nil, "cat-file", "--batch", "--batch-all-objects")
}

// A withdrawal is a way to take back a file that was in a folder by mistake.
type withdrawal struct {
	do, undo func(l *library)
	after    time.Duration
	named    bool // newcomers see in Drive, too, that there is something of that name
}

const solution, solutionText = "fSolution1", "THE SOLUTION\n"

func withdrawals() map[string]withdrawal {
	edit := func(id string, change func(*fake.DriveFile)) func(*library) {
		return func(l *library) { l.drive.Edit(id, change) }
	}
	trash := func(is bool, ids ...string) func(*library) {
		return func(l *library) {
			for _, id := range ids {
				l.drive.Edit(id, func(f *fake.DriveFile) { f.Trashed = is })
			}
		}
	}
	off, on := edit(solution, func(f *fake.DriveFile) { f.NoDownload = true }), edit(solution, func(f *fake.DriveFile) { f.NoDownload = false })
	return map[string]withdrawal{
		"download turned off at once":   {off, on, 10 * time.Minute, true},
		"download turned off days ago":  {off, on, 72 * time.Hour, true},
		"most of the files deleted":     {trash(true, solution, "fAofLab1Ph", "fBofLab1Ph"), trash(false, solution, "fAofLab1Ph", "fBofLab1Ph"), 10 * time.Minute, false},
		"its folder for fewer at once":  {edit("fFolderOfSols", func(f *fake.DriveFile) { f.Limited = true }), edit("fFolderOfSols", func(f *fake.DriveFile) { f.Limited = false }), 10 * time.Minute, false},
		"its folder for fewer days ago": {edit("fFolderOfSols", func(f *fake.DriveFile) { f.Limited = true }), edit("fFolderOfSols", func(f *fake.DriveFile) { f.Limited = false }), 72 * time.Hour, false},
	}
}

// TestWithdrawn: what an instructor takes back is in nothing that somebody is given who
// never had it; whoever has it keeps it, and it is one file with theirs when it comes back.
func TestWithdrawn(t *testing.T) {
	for name, w := range withdrawals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withdrawn(t, w)
		})
	}
}

func withdrawn(t *testing.T, w withdrawal) {
	l := newLibrary(t, "")
	l.drive.Edit("fFolderOfSols", func(f *fake.DriveFile) {
		*f = fake.DriveFile{ID: "fFolderOfSols", Name: "week 1", Parent: "fLab1ofPh142", Type: fake.FolderType}
	})
	l.drive.Edit(solution, func(f *fake.DriveFile) {
		*f = fake.DriveFile{ID: solution, Name: "solution.txt", Parent: "fFolderOfSols", Text: solutionText}
	})
	svc, at := l.serving()
	by := l.later(svc)
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	for _, who := range []string{"stu", "new", "late"} {
		l.hub.SetGroups(who, "ph142")
	}
	src, group := daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "fLab1ofPh142"}, "ph142"
	if _, err := svc.broker.MakeLink(t.Context(), l.caller(&desk{service: svc}, "tea"), broker.LinkAsk{Name: "ph142-lab1", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	home, stu := t.TempDir(), l.hub.StartServer("stu", "")
	lab := filepath.Join(home, "ph142-lab1")
	pull := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(builtPrograms(t), "daypass"), append([]string{"pull"}, args...)...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1", "DAYPASS_URL=" + at, "JUPYTERHUB_API_TOKEN=" + stu, "JUPYTERHUB_API_URL=" + at + "hub/api"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	read := func(name string) string { text, _ := os.ReadFile(filepath.Join(lab, name)); return string(text) }
	pull(home, "link:ph142-lab1", lab)
	if read("week 1/solution.txt") != solutionText {
		t.Fatal("it was not there")
	}
	if err := os.WriteFile(filepath.Join(lab, "week 1/solution.txt"), []byte("mine\n"+solutionText), 0o644); err != nil {
		t.Fatal(err)
	}
	_, had := l.snapshot(stu, at, url.Values{"link": {"ph142-lab1"}})
	_, hadPack, _ := get(t, stu, at+had.Pack)

	w.do(l)
	l.drive.Edit("fNewOfLab1", func(f *fake.DriveFile) {
		*f = fake.DriveFile{ID: "fNewOfLab1", Name: "later.txt", Parent: "fLab1ofPh142", Text: "later\n"}
	})
	by.Store(int64(w.after))
	newcomer := l.hub.StartServer("new", "")
	status, got := l.snapshot(newcomer, at, url.Values{"link": {"ph142-lab1"}})
	if status != http.StatusOK || got.ID == had.ID {
		t.Fatalf("%d %+v", status, got)
	}
	_, all, _ := get(t, newcomer, at+got.Pack)
	text := everything(t, all)
	if strings.Contains(text, "THE SOLUTION") || strings.Contains(text, "solution.txt") != w.named || strings.Contains(text, solution) != w.named || !strings.Contains(text, "later\n") {
		t.Errorf("a newcomer is sent %q", text)
	}
	// Who says to have what others have is sent what changed since, which that is no part of.
	_, thin, _ := get(t, newcomer, at+got.Pack+"&have="+had.ID)
	if n, m := strings.Count(everything(t, hadPack, thin), "THE SOLUTION"), strings.Count(everything(t, hadPack), "THE SOLUTION"); n != m {
		t.Errorf("it is in what is sent of what changed: %d, %d", n, m)
	}
	by.Store(int64(w.after + 6*time.Minute))
	if status, body, _ := get(t, newcomer, at+strings.ReplaceAll(got.Pack, got.ID, had.ID)); status == http.StatusOK || !bytes.Contains(body, []byte("DP-480")) {
		t.Errorf("what others were told of before is given: %d %.200s", status, body)
	}

	out := pull(lab)
	if read("week 1/solution.txt") != "mine\n"+solutionText || read("later.txt") != "later\n" || read("data.csv") != "1,2\n" {
		t.Errorf("who has it: %q\n%s", read("week 1/solution.txt"), out)
	}
	w.undo(l)
	l.drive.Edit(solution, func(f *fake.DriveFile) { f.Name, f.Text = "answer.txt", solutionText+"theirs\n" })
	by.Add(int64(time.Hour))
	out = pull(lab)
	back := read("week 1/answer.txt")
	if !strings.HasPrefix(back, "mine\nTHE SOLUTION\n") || !strings.HasSuffix(back, "theirs\n") || read("week 1/solution.txt") != "" {
		t.Errorf("when it comes back: %q\n%s", back, out)
	}
	late := l.hub.StartServer("late", "")
	_, got = l.snapshot(late, at, url.Values{"link": {"ph142-lab1"}})
	_, all, _ = get(t, late, at+got.Pack)
	if files := unpack(t, all, got.ID); files["week 1/answer.txt"] != solutionText+"theirs\n" || len(files) != 4 {
		t.Errorf("when it is back: %q", files)
	}
}
