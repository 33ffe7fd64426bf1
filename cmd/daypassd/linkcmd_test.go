package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/fake"
)

// TestLinkCommand is an instructor at a prompt in their own server: from a folder that
// is not shared yet to a link that a student pulls, a copy for the next term, and the
// end.
func TestLinkCommand(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	const id = "fLab2ofPh142AAAAAAAAAAAAAAAAAAAAA"
	l.drive.Edit(id, func(f *fake.DriveFile) { f.Name, f.Type = "Lab 2", fake.FolderType })
	l.drive.Edit("fStartofLab2", func(f *fake.DriveFile) { f.Name, f.Parent, f.Text = "start.ipynb", id, "{}" })
	_, at := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("stu", "ph142")
	l.hub.SetGroups("eve", "bio101")
	bin := builtPrograms(t)
	as := func(user string) func(args ...string) (string, error) {
		home, token := t.TempDir(), l.hub.StartServer(user, "")
		return func(args ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "daypass"), args...)
			cmd.Dir = home
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1",
				"DAYPASS_URL=" + at, "JUPYTERHUB_API_TOKEN=" + token, "JUPYTERHUB_API_URL=" + at + "hub/api"}
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
	}
	tea, stu, eve := as("tea"), as("stu"), as("eve")
	does := func(run func(...string) (string, error), good bool, words []string, args ...string) string {
		t.Helper()
		out, err := run(args...)
		if (err == nil) != good {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%q: no %q in\n%s", args, w, out)
			}
		}
		return out
	}
	folder := "https://drive.google.com/drive/folders/" + id
	does(tea, true, []string{"You have no links"}, "link", "list")
	does(tea, false, []string{"DP-734", courseAccount}, "link", "make", "ph142-lab2", "--source", folder, "--for", "ph142")
	l.drive.Edit(id, func(f *fake.DriveFile) { f.Shared = []string{courseAccount} })
	time.Sleep(10 * time.Millisecond)
	does(tea, true, []string{"ph142-lab2  Lab 2", "/l/ph142-lab2\n", "State:   open", "For:     the group ph142", "Opened:  never"},
		"link", "make", "ph142-lab2", "--source", folder, "--for", "ph142", "--open", "start.ipynb", "--folder", "lab2", "--app", "lab", "--until", "60d")
	does(tea, true, []string{"1 file of Lab 2", "A student of ph142 can open it", "folder lab2"}, "link", "check", "ph142-lab2")
	does(tea, true, []string{"/l/ph142-lab2\n"}, "link", "url", "ph142-lab2")
	does(tea, true, []string{"[![Open “Lab 2”]"}, "link", "url", "link:ph142-lab2", "--as", "markdown")
	does(tea, false, []string{"DP-793"}, "link", "url", "ph142-lab2", "--as", "binder")
	does(stu, true, nil, "pull", at+"l/ph142-lab2")
	does(tea, true, []string{"1 time", "Reads:   “Lab 2” in Google Drive\n"}, "link", "list")
	l.wants(0, []string{"drive:drive.google.com/" + id + " “Lab 2”"}, "links", "list")

	does(stu, false, []string{"DP-729"}, "link", "make", "mine", "--source", folder, "--for", "ph142")
	does(stu, true, []string{"may make none"}, "link", "list")
	does(stu, false, []string{"DP-729"}, "link", "edit", "ph142-lab2", "--for", "bio101")
	does(stu, false, []string{"DP-733"}, "link", "end", "ph142-lab2", "--yes")
	does(eve, false, []string{"DP-723"}, "link", "check", "ph142-lab2")
	if out := does(eve, false, []string{"DP-723"}, "link", "url", "ph142-lab2"); strings.Contains(out, "Lab 2") {
		t.Errorf("a stranger is told: %s", out)
	}

	does(tea, false, []string{"the file that it opens is not there", "DP-794"}, "link", "check", edited(t, tea, "ph142-lab2", "--open", "gone.ipynb"))
	does(tea, true, []string{"State:   paused"}, "link", "edit", "ph142-lab2", "--pause", "--open", "start.ipynb")
	does(stu, false, nil, "pull", "link:ph142-lab2", "again")
	does(tea, true, []string{"Reads:   Google Drive " + id + "\n"}, "link", "list")
	does(tea, false, []string{"the link is not open: paused"}, "link", "check", "ph142-lab2")
	does(tea, true, []string{"State:   open"}, "link", "edit", "ph142-lab2", "--resume")
	does(tea, true, []string{"ph142-fall-lab2", "the group ph142-fall", "Opens:   start.ipynb"}, "link", "copy", "ph142-lab2", "ph142-fall-lab2", "--for", "ph142-fall")
	does(tea, false, []string{"--yes"}, "link", "end", "ph142-lab2")
	does(tea, true, []string{"Ended: the link ph142-lab2"}, "link", "end", "ph142-lab2", "--yes")
	does(stu, false, nil, "pull", "link:ph142-lab2", "again")
	var list api.Links
	if err := json.Unmarshal([]byte(does(tea, true, nil, "link", "list", "--all", "--json")), &list); err != nil || len(list.Links) != 2 || !list.Terms.May {
		t.Errorf("%v %+v", err, list)
	}
	for _, bad := range [][]string{
		{"link"}, {"link", "make"}, {"link", "make", "UPPER", "--source", folder, "--for", "x"}, {"link", "make", "abc", "--source", folder}, {"link", "make", "abc", "--for", "x"}, {"link", "url", "abc", "--as", "html"},
		{"link", "edit", "abc", "--pause", "--resume"}, {"link", "edit", "abc", "--until", "someday"}, {"link", "make", "abc", "--source", "file:///etc", "--for", "x"}, {"link", "check", "https://evil.example/l/abc"},
		{"link", "make", "abc", "--source", folder, "--for", "x", "--for-everybody"},
	} {
		does(tea, false, []string{"[DP-"}, bad...)
	}
}

// edited changes a link and returns its name.
func edited(t *testing.T, run func(...string) (string, error), name string, args ...string) string {
	t.Helper()
	if out, err := run(append([]string{"link", "edit", name}, args...)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return name
}
