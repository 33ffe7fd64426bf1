package gitconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseRemote(t *testing.T) {
	for _, tc := range []struct{ raw, https, repo string }{
		{"https://github.com/o/r.git", "https://github.com/o/r.git", "o/r"},
		{"https://github.com/o/r", "https://github.com/o/r", "o/r"},
		{"https://GitHub.com/o/r/", "https://github.com/o/r", "o/r"},
		{"https://mona:ghp_aaaaaaaaaaaaaaaaaaaa@github.com/o/r", "https://github.com/o/r", "o/r"},
		{"https://ghe.example:8443/o/r.git", "https://ghe.example:8443/o/r.git", "o/r"},
		{"http://127.0.0.1:8080/o/r", "http://127.0.0.1:8080/o/r", "o/r"},
		{"git@github.com:o/r.git", "https://github.com/o/r.git", "o/r"},
		{"github.com:o/r", "https://github.com/o/r", "o/r"},
		{"git@github.com:/o/r", "https://github.com/o/r", "o/r"},
		{"ssh://git@github.com/o/r.git", "https://github.com/o/r.git", "o/r"},
		{"ssh://git@github.com:22/o/r.git", "https://github.com/o/r.git", "o/r"},
		{"https://gitlab.com/g/sub/r.git", "https://gitlab.com/g/sub/r.git", ""},
		{"https://github.com/o/r.git.git", "https://github.com/o/r.git.git", ""},
		{"https://github.com/o/../r", "https://github.com/o/../r", ""},
		{"https://github.com/o%2fr", "https://github.com/o%2fr", ""},
		{"https://github.com//o/r", "https://github.com//o/r", ""},
		{"https://github.com/o/r?x=y", "", ""},
		{"https://github.com/", "", ""},
		{"https:///o/r", "", ""},
		{"https://github.com/o/r\nhost=evil", "", ""},
		{"https://github.com\\@evil.example/o/r", "", ""},
		{"https://gîthub.com/o/r", "", ""},
		{"file:///srv/r", "", ""},
		{"ext::sh -c x", "", ""},
		{"/srv/r.git", "", ""},
		{"./o:r", "", ""},
		{"C:/repos/r", "", ""},
		{"-oProxyCommand=x:o/r", "", ""},
		{"", "", ""},
	} {
		got, err := ParseRemote(tc.raw)
		if tc.https == "" {
			if err == nil {
				t.Errorf("ParseRemote(%q) = %+v, want an error", tc.raw, got)
			}
			continue
		}
		if err != nil || got.HTTPS() != tc.https || got.Repo.String() != tc.repo {
			t.Errorf("ParseRemote(%q) = %+v, %v; %s, want %s for %q", tc.raw, got, err, got.HTTPS(), tc.https, tc.repo)
		}
	}
}

func TestRemotesAreWhatGitUses(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[url \"https://github.com/\"]\n\tinsteadOf = git@github.com:\n\tinsteadOf = ssh://git@github.com/\n"+
		"[url \"https://other.example/\"]\n\tinsteadOf = git@github.com:special/\n\tpushInsteadOf = https://pushed.example/\n")
	dir := filepath.Join(w.home, "r")
	w.git("", "init", "-q", dir)
	for name, raw := range map[string]string{
		"a": "git@github.com:o/r.git", "b": "ssh://git@github.com/o/r", "c": "git@github.com:special/r", "d": "https://pushed.example/x/y", "e": "https://plain.example/x/y",
	} {
		w.git(dir, "remote", "add", name, raw)
	}
	w.git(dir, "remote", "set-url", "--push", "e", "git@github.com:p/q")
	all, err := w.Git.Remotes(t.Context(), dir)
	if err != nil || len(all) != 6 {
		t.Fatalf("Remotes = %v, %v", all, err)
	}
	for _, r := range all {
		args := []string{"remote", "get-url", r.Name}
		if r.Push {
			args = []string{"remote", "get-url", "--push", r.Name}
		}
		if want := strings.TrimSpace(w.git(dir, args...)); r.URL != want {
			t.Errorf("%s = %q, git says %q", r.Name, r.URL, want)
		}
		want := strings.TrimSpace(w.git(dir, "remote", "get-url", "--push", r.Name))
		if got, err := w.Git.PushURL(t.Context(), dir, r.Name); err != nil || got != want {
			t.Errorf("PushURL(%s) = %q, %v, git says %q", r.Name, got, err, want)
		}
	}
}

// Setup's ssh rules must do in git what they promise.
func TestSSHRulesInGit(t *testing.T) {
	w := newWorld(t)
	r := github()
	r.SSH = true
	w.apply(r)
	for raw, want := range map[string]string{
		"git@github.com:o/r.git":          "https://github.com/o/r.git",
		"ssh://git@github.com/o/r":        "https://github.com/o/r",
		"git@github.com.evil.example:o/r": "git@github.com.evil.example:o/r",
		"ssh://git@github.community/o/r":  "ssh://git@github.community/o/r",
		"https://github.com/o/r":          "https://github.com/o/r",
	} {
		if got := strings.TrimSpace(w.git("", "ls-remote", "--get-url", raw)); got != want {
			t.Errorf("git uses %q for %q, want %q", got, raw, want)
		}
	}
}

func TestWorkflowChanges(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[user]\n\tname = A\n\temail = a@b.example\n")
	dir, up := filepath.Join(w.home, "r"), filepath.Join(w.home, "up.git")
	w.git("", "init", "-q", "--bare", up)
	w.git("", "init", "-q", dir)
	w.git(dir, "remote", "add", "origin", up)
	ask := func() bool {
		t.Helper()
		got, err := w.Git.WorkflowChanges(t.Context(), filepath.Join(dir), "origin")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	commit := func(file string) {
		w.write(filepath.Join(dir, file), file)
		w.git(dir, "add", ".")
		w.git(dir, "commit", "-qm", file)
	}
	if ask() {
		t.Error("a repository without commits has changes")
	}
	commit("README")
	if ask() {
		t.Error("README is no workflow")
	}
	commit(".github/workflows/ci.yml")
	if !ask() {
		t.Error("a new workflow was not seen")
	}
	w.git(dir, "push", "-q", "origin", "HEAD")
	if ask() {
		t.Error("a pushed workflow is no change")
	}
	// A repository whose configuration would run programs.
	marker := filepath.Join(w.home, "ran")
	evil := w.write(filepath.Join(w.home, "evil"), "#!/bin/sh\ntouch "+marker+"\n")
	if err := os.Chmod(evil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, kv := range []string{"core.fsmonitor", "diff.external", "core.pager", "diff.x.textconv", "core.sshCommand", "core.askPass", "uploadpack.packObjectsHook", "core.gitProxy"} {
		w.git(dir, "config", kv, evil)
	}
	w.git(dir, "config", "credential.helper", "!"+evil)
	w.git(dir, "config", "alias.rev-list", "!"+evil)
	w.git(dir, "config", "core.hooksPath", w.home)
	w.write(filepath.Join(dir, ".gitattributes"), "* diff=x filter=x\n")
	os.Remove(marker)
	ask()
	if _, err := w.Git.Remotes(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if _, err := w.Git.Helpers(t.Context(), dir, "https://github.com/"); err != nil {
		t.Error(err)
	}
	if _, ok := w.Git.Repository(t.Context(), dir); !ok {
		t.Error("not a repository")
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("the repository's configuration ran a program")
	}
	for _, bad := range []string{"", "-x", "*", "a b", "a\nb"} {
		if _, err := w.Git.WorkflowChanges(t.Context(), dir, bad); err == nil {
			t.Errorf("remote %q was taken", bad)
		}
	}
}

func TestCVEs(t *testing.T) {
	for v, want := range map[string]string{
		"2.17.3":                 "CVE-2020-5260 CVE-2020-11008 CVE-2022-24765 CVE-2022-29187 CVE-2024-50349 CVE-2024-52006 CVE-2025-48386",
		"2.26.1":                 "CVE-2020-11008 CVE-2022-24765 CVE-2022-29187 CVE-2024-50349 CVE-2024-52006 CVE-2025-48386",
		"2.39.5":                 "CVE-2024-50349 CVE-2024-52006 CVE-2025-48386",
		"2.39.5 (Apple Git-154)": "CVE-2024-50349 CVE-2024-52006 CVE-2025-48386",
		"2.48.1":                 "CVE-2025-48386",
		"2.48.1.windows.1":       "CVE-2025-48386",
		"2.49.0":                 "CVE-2025-48386",
		"2.50.1":                 "",
		"2.51.0":                 "",
		"2.55.GIT":               "",
		"3.0.0":                  "",
		"1.8.3.1":                "CVE-2020-5260 CVE-2020-11008 CVE-2022-24765 CVE-2022-29187 CVE-2024-50349 CVE-2024-52006 CVE-2025-48386",
		"":                       "",
		"unknown":                "",
	} {
		var ids []string
		for _, a := range CVEs(v) {
			ids = append(ids, a.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("CVEs(%q) = %s, want %s", v, got, want)
		}
	}
}

func TestAdvisoriesSeeBackports(t *testing.T) {
	w := newWorld(t)
	// Whatever git this is, its answer must be one of a git that was told of the
	// carriage return.
	_, err := w.tryGit("", "protocol=https\nhost=h\nusername=a\npassword=b\rc\n\n", "credential", "fill")
	list, aerr := w.Git.Advisories(t.Context())
	if aerr != nil {
		t.Fatal(aerr)
	}
	for _, a := range list {
		if a.ID == "CVE-2024-52006" && a.Backported != (err != nil) {
			t.Errorf("%+v, but git credential says %v", a, err)
		}
	}
}
