package main

import (
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gitHost is a host of git that is none of GitHub's: it serves what lies below a folder,
// by git's own program. It returns its name and the folder.
func gitHost(t *testing.T) (host, dir string, asked func() []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}, InheritEnv: []string{"PATH"}, Stderr: io.Discard,
	}
	paths := make(chan string, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://"), dir, func() (all []string) {
		for len(paths) > 0 {
			all = append(all, <-paths)
		}
		return all
	}
}

// plant makes a bare repository with one file.
func plant(t *testing.T, bare, text string) {
	t.Helper()
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "lab.md"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main", work}, {"-C", work, "add", "."}, {"-C", work, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "-m", "a"}, {"clone", "-q", "--bare", work, bare}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
}

// A prompt runs the program as somebody, in a home of theirs.
type prompt func(args ...string) (string, error)

// classOf is a course whose content lies at a host that the admin lists: an instructor,
// and a student of the group ph142 with their home. more is of snapshots.
func classOf(t *testing.T, host string, more ...string) (tea, stu prompt, home string) {
	t.Helper()
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+host+"\"]")
	l.edit("snapshots: {", "snapshots: {"+strings.Join(append(more, ""), ", "))
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	_, tea = l.prompt("tea", service)
	home, stu = l.prompt("stu", service)
	return tea, stu, home
}

// TestGitHosts: a link reads a repository by any path at a host of git that the admin
// lists, whether the host calls it with ".git" or not.
func TestGitHosts(t *testing.T) {
	t.Parallel()
	host, dir, asked := gitHost(t)
	plant(t, filepath.Join(dir, "group", "sub", "repo.git"), "of the group\n")
	plant(t, filepath.Join(dir, "~ada", "lab"), "of ada\n")
	tea, stu, home := classOf(t, host)
	for name, of := range map[string]struct{ address, source, text string }{
		"deep":    {"http://" + host + "/group/sub/repo", "git:" + host + "/group/sub/repo", "of the group\n"},
		"deep-2":  {"http://" + host + "/group/sub/repo.git", "git:" + host + "/group/sub/repo", "of the group\n"},
		"written": {"git:" + host + "/~ada/lab", "git:" + host + "/~ada/lab", "of ada\n"},
	} {
		if out, err := tea("link", "make", name, "--source", of.address, "--for", "ph142", "--json"); err != nil || !strings.Contains(out, `"source":"`+of.source+`"`) && !strings.Contains(out, `"source": "`+of.source+`"`) {
			t.Errorf("%s: %v\n%s", of.address, err, out)
			continue
		}
		out, err := stu("pull", "link:"+name, name)
		if text, _ := os.ReadFile(filepath.Join(home, name, "lab.md")); err != nil || string(text) != of.text {
			t.Errorf("%s: %v %q\n%s", name, err, text, out)
		}
	}
	for source, says := range map[string]string{"git:" + host + "/~ada/lab@nope": "nope", "git:" + host + "/group/sub/none": "none.git cannot be read"} {
		if out, err := tea("link", "make", "wrong", "--source", source, "--for", "ph142"); err == nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v, without %q\n%s", source, err, says, out)
		}
	}
	asked()
	for _, source := range []string{"git:" + host + "/group/sub/none", "http://" + host + "/group/sub%2Frepo", "git:" + host + "/group/../repo", "git:" + host + "/group//repo", "git:" + host + "/group/sub/repo.git"} {
		if out, err := tea("link", "make", "wrong", "--source", source, "--for", "ph142"); err == nil || !strings.Contains(out, "[DP-7") {
			t.Errorf("%s: %v\n%s", source, err, out)
		}
	}
	for _, path := range asked() {
		if !strings.HasPrefix(path, "/group/sub/none") {
			t.Errorf("%s was asked for", path)
		}
	}
}
