package gitconf

import (
	"path/filepath"
	"strings"
	"testing"
)

// PushRemote must say what git does: each repository pushes to remotes that are
// folders, and the folder that got the commit is the one.
func TestPushRemoteIsWhereGitPushes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		config  []string // "key value"
		remotes string
		branch  string
		want    string
	}{
		{"the only one", nil, "hub", "main", "hub"},
		{"origin among several", nil, "a origin z", "main", "origin"},
		{"the branch's", []string{"branch.main.remote z"}, "a origin z", "main", "z"},
		{"another branch's", []string{"branch.other.remote z"}, "a origin z", "main", "origin"},
		{"pushDefault before the branch's", []string{"branch.main.remote z", "remote.pushDefault a"}, "a origin z", "main", "a"},
		{"pushRemote before all", []string{"branch.main.pushRemote z", "remote.pushDefault a", "branch.main.remote origin"}, "a origin z", "main", "z"},
		{"a name with dots", []string{"branch.v1.2/x.remote z"}, "a origin z", "v1.2/x", "z"},
		{"a branch of another case", []string{"branch.MAIN.remote z"}, "a origin z", "main", "origin"},
		{"the last of two", []string{"branch.main.remote a", "branch.main.remote z"}, "a origin z", "main", "z"},
		{"a remote with a dot", []string{"branch.main.remote a.b"}, "a.b origin", "main", "a.b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			dir := filepath.Join(w.home, "r")
			w.git("", "init", "-q", dir)
			w.git(dir, "symbolic-ref", "HEAD", "refs/heads/"+tc.branch)
			w.git(dir, "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "one")
			for name := range strings.FieldsSeq(tc.remotes) {
				w.git("", "init", "-q", "--bare", filepath.Join(w.home, name+".git"))
				w.git(dir, "remote", "add", name, filepath.Join(w.home, name+".git"))
			}
			for _, c := range tc.config {
				k, v, _ := strings.Cut(c, " ")
				w.git(dir, "config", "--add", k, v)
			}
			if got := w.Git.PushRemote(t.Context(), dir); got != tc.want {
				t.Errorf("PushRemote = %q, want %q", got, tc.want)
			}
			w.git(dir, "-c", "push.default=current", "push", "-q")
			for name := range strings.FieldsSeq(tc.remotes) {
				out := strings.TrimSpace(w.git(filepath.Join(w.home, name+".git"), "for-each-ref"))
				if (out != "") != (name == tc.want) {
					t.Errorf("git's push to %s: %q", name, out)
				}
			}
		})
	}
}

// Where git has no one answer, ours is the name that it would try.
func TestPushRemoteWithoutABranch(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.home, "r")
	if got := w.Git.PushRemote(t.Context(), filepath.Join(w.home, "none")); got != "origin" {
		t.Errorf("without a folder: %q", got)
	}
	w.git("", "init", "-q", dir)
	if got := w.Git.PushRemote(t.Context(), dir); got != "origin" {
		t.Errorf("without a remote: %q", got)
	}
	w.git(dir, "remote", "add", "hub", "https://github.com/o/r")
	w.git(dir, "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "one")
	w.git(dir, "checkout", "-q", "--detach")
	if got := w.Git.PushRemote(t.Context(), dir); got != "hub" {
		t.Errorf("on no branch: %q", got)
	}
}

func TestSetsHelper(t *testing.T) {
	const origin = "https://ghes.example:8443"
	for _, tc := range []struct {
		key, value string
		want       bool
	}{
		{"credential.https://ghes.example:8443.helper", "/opt/x", true},
		{"credential.https://GHES.example:8443.helper", "/opt/x", true},
		{"credential.https://ghes.example:8443/o/r.helper", "/opt/x", true},
		{"credential.https://ghes.example:8443.helper", "", false}, // forgets helpers
		{"credential.https://ghes.example:8443.usehttppath", "true", false},
		{"credential.https://ghes.example.helper", "/opt/x", false},
		{"credential.https://ghes.example:84430.helper", "/opt/x", false},
		{"credential.http://ghes.example:8443.helper", "/opt/x", false},
		{"credential.helper", "/opt/x", false},
		{"other.https://ghes.example:8443.helper", "/opt/x", false},
		{"helper", "/opt/x", false},
		{"", "", false},
	} {
		if got := (Entry{Key: tc.key, value: tc.value, has: true}).SetsHelper(origin); got != tc.want {
			t.Errorf("SetsHelper of %q = %q: %v, want %v", tc.key, tc.value, got, tc.want)
		}
	}
}
