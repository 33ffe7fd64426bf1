package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/fake"
)

// TestPullSource: a source that a rule names comes by its own address, read by the
// service; what the service does not give is read with a key of one's own, where there
// is one, and a folder stays with the way that it came by.
func TestPullSource(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	l.edit("groups: [ph142-staff],", "groups: [ph142-staff], folders: [fLab1ofPh142],")
	l.edit("hosts: []", "hosts: []\n  rules: [{name: lab, groups: [ph142], sources: [\"drive:drive.google.com/fLab1ofPh142\"]}]")
	_, at := l.serving()
	l.hub.SetGroups("stu", "ph142")
	home, bin := t.TempDir(), builtPrograms(t)
	run := func(token string, args []string, more ...string) string {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "daypass"), args...)
		cmd.Dir = home
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1"}, more...)
		if token != "" {
			cmd.Env = append(cmd.Env, "DAYPASS_URL="+at, "JUPYTERHUB_API_TOKEN="+token, "JUPYTERHUB_API_URL="+at+"hub/api")
		}
		out, err := cmd.CombinedOutput()
		if err == nil {
			return ""
		}
		return string(out)
	}
	stu, other := l.hub.StartServer("stu", ""), l.hub.StartServer("tea", "")
	const address, noKey = "https://drive.google.com/drive/folders/fLab1ofPh142?usp=sharing", "DAYPASS_DRIVE_KEY_FILE=/nonexistent/key.json"
	if said := run(stu, []string{"pull", address}, noKey); said != "" {
		t.Fatal(said)
	}
	lab := filepath.Join(home, "Lab 1")
	if text, err := os.ReadFile(filepath.Join(lab, "data.csv")); err != nil || string(text) != "1,2\n" {
		t.Errorf("%q %v", text, err)
	}
	l.drive.Edit("fBofLab1Ph", func(f *fake.DriveFile) { f.Text = "1,2,3\n" })
	for _, c := range []struct {
		name, token string
		args        []string
		more        []string
		want        string
	}{
		{"not in the group", other, []string{"pull", address, "theirs"}, nil, "DP-723"},
		{"not in the group, with a key", other, []string{"pull", address, "theirs"}, []string{noKey}, "DP-457"},
		{"another course's", stu, []string{"pull", "drive:drive.google.com/fBioOf101x", "theirs"}, nil, "DP-723"},
		{"the folder, where there is no service", "", []string{"pull", "Lab 1"}, []string{noKey}, "DP-456"},
		{"the folder, by somebody else", other, []string{"pull", "Lab 1"}, []string{noKey}, "DP-723"},
	} {
		if said := run(c.token, c.args, c.more...); !strings.Contains(said, "["+c.want+"]") {
			t.Errorf("%s: %s", c.name, said)
		}
		if _, err := os.Stat(filepath.Join(home, "theirs")); err == nil {
			t.Errorf("%s: a folder was made", c.name)
		}
	}
	if text, err := os.ReadFile(filepath.Join(lab, "data.csv")); err != nil || string(text) != "1,2\n" {
		t.Errorf("after what was refused: %q %v", text, err)
	}
}
