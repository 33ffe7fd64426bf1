package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A dockerLine is one instruction of a Dockerfile.
type dockerLine struct{ word, rest string }

// dockerLines reads a Dockerfile, and fails on what is no instruction.
func dockerLines(t *testing.T, text string) []dockerLine {
	t.Helper()
	known := regexp.MustCompile(`^(ARG|FROM|COPY|RUN|USER|ENTRYPOINT|CMD)$`)
	var out []dockerLine
	for l := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(l, " ")
		if !known.MatchString(word) || rest == "" {
			t.Errorf("%q is no line of a Dockerfile", l)
		}
		out = append(out, dockerLine{word, rest})
	}
	return out
}

// dockerRuns are the commands of the last stage.
func dockerRuns(t *testing.T, text string) []string {
	t.Helper()
	var out []string
	for _, l := range dockerLines(t, text) {
		switch l.word {
		case "FROM":
			out = nil
		case "RUN":
			out = append(out, l.rest)
		}
	}
	return out
}

// TestServersImage runs what the Dockerfile of the servers' image runs, over this
// machine's own /etc, /usr/local and /var, and looks whether git then asks daypass.
func TestServersImage(t *testing.T) {
	needsRoot(t)
	text := pageText(t, "../../deploy/image/Dockerfile")
	page := pageText(t, deployPage)
	runs := dockerRuns(t, text)
	if len(runs) != 2 {
		t.Fatalf("it runs %q", runs)
	}
	for _, run := range runs {
		if !strings.Contains(page, "RUN "+run+"\n") {
			t.Errorf("doc/deploy.md shows another text than %q", run)
		}
	}
	var copies string
	for _, l := range dockerLines(t, text) {
		if l.word == "COPY" && strings.HasPrefix(l.rest, "--from=daypass") {
			copies = strings.TrimPrefix(l.rest, "--from=daypass ")
		}
	}
	if copies != "/out/usr/local/ /usr/local/" {
		t.Fatalf("it copies %q", copies)
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // the user below has to get there
		t.Fatal(err)
	}
	for _, d := range []string{"etc", "etc-work", "local", "local-work", "var", "var-work", "out", "home"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The first stage. A user's own HOME is kept out of it.
	install := exec.Command("make", "-C", "../..", "install", "DESTDIR="+filepath.Join(dir, "out"), "BINS="+shipped(t))
	install.Args = append(install.Args, "--old-file=build")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	script := `d=$1
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$d/etc,workdir=$d/etc-work" /etc
mount -t overlay overlay -o "lowerdir=/usr/local,upperdir=$d/local,workdir=$d/local-work" /usr/local
mount -t overlay overlay -o "lowerdir=/var,upperdir=$d/var,workdir=$d/var-work" /var
rm -f /etc/gitconfig
cp -a "$d/out/usr/local/." /usr/local/
BROKER=https://daypass.example.org/ GITHUB=github.com
` + strings.Join(runs, "\n") + `
cat /etc/daypass/config.yaml
# A user, who is not root and whose home is empty, asks git for a password.
cat > "$d/ask" <<'END'
cd "$HOME"
printf 'protocol=https\nhost=github.com\npath=a/b.git\n\n' | git credential fill
git ls-remote --get-url git@github.com:a/b.git
git config --show-origin --get-all credential.https://github.com.helper
ls -l /usr/local/bin/git-credential-daypass /etc/daypass/config.yaml
END
chown 65534:65534 "$d/home"
chmod 755 "$d"
exec setpriv --reuid 65534 --regid 65534 --clear-groups env -i HOME="$d/home" PATH=/usr/local/bin:/usr/bin:/bin GIT_TERMINAL_PROMPT=0 \
	DAYPASS_RUNTIME_DIR="$d/home/run" JUPYTERHUB_API_TOKEN=none JUPYTERHUB_API_URL=http://127.0.0.1:1/hub/api HTTPS_PROXY=http://127.0.0.1:1 /bin/sh "$d/ask" 2>&1`
	cmd := exec.Command("unshare", "--mount", "/bin/sh", "-ec", script, "sh", dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	raw, err := cmd.CombinedOutput()
	out := string(raw)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"broker: https://daypass.example.org/\n",
		"[DP-",                           // daypass was asked, and found nobody at that address
		"\nhttps://github.com/a/b.git\n", // ssh addresses go over https
		"file:/etc/gitconfig\t",          // for everybody, in the system's file
		"-rwxr-xr-x 1 root root",         // nobody else can change what git starts
		"-rw-r--r-- 1 root root",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

// shipped are the three programs as make builds them, in one list.
func shipped(t *testing.T) string {
	bin := builtPrograms(t)
	var out []string
	for _, name := range []string{"daypass", "daypassd", "git-credential-daypass"} {
		out = append(out, filepath.Join(bin, name))
	}
	return strings.Join(out, " ")
}
