package main_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass/pass"
)

// A slurmNode runs the scripts of deploy/slurm as Slurm does, with folders of
// its own in the place of /run and /usr/local/bin.
type slurmNode struct {
	t        *testing.T
	dir, job string
	env      []string
}

// newSlurmNode has a stand-in for runuser, which changes nobody, and a program
// as daypass.
func newSlurmNode(t *testing.T, daypass string) slurmNode {
	t.Helper()
	n := slurmNode{t: t, dir: t.TempDir()}
	for _, d := range []string{"bin", "run"} {
		if err := os.Mkdir(filepath.Join(n.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n.put("bin/runuser", "#!/bin/sh\n[ \"$1 $2 $3\" = '-u ann --' ] || exit 9\nshift 3\nexec \"$@\"\n")
	if err := os.Symlink(daypass, filepath.Join(n.dir, "bin", "daypass")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prolog.sh", "task-prolog.sh", "epilog.sh"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "slurm", name))
		if err != nil {
			t.Fatal(err)
		}
		n.put(name, strings.NewReplacer("/run/daypass-jobs", n.dir+"/run/jobs", "/usr/local/bin/daypass", n.dir+"/bin/daypass").Replace(string(text)))
	}
	n.job = filepath.Join(n.dir, "run", "jobs", "4711")
	n.env = []string{
		"PATH=" + filepath.Join(n.dir, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"), "TZ=UTC",
		"SLURM_JOB_ID=4711", "SLURM_JOB_USER=ann", "SLURM_JOB_UID=" + strconv.Itoa(os.Getuid()), "SLURM_JOB_END_TIME=4000000000",
	}
	return n
}

func (n slurmNode) put(name, text string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// run is one script with the node's environment and more; the job's own is for
// the task's prolog only.
func (n slurmNode) run(script string, more ...string) string {
	n.t.Helper()
	cmd := exec.Command("/bin/sh", filepath.Join(n.dir, script))
	cmd.Env = append(append([]string{}, n.env...), more...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// TestSlurmIndex: a job that was handed a pass of a package gateway gets one
// that ends with the job, and after the job the gateway ends that one, and not
// the one that was handed over. One of devpi-tokens ends by its time.
func TestSlurmIndex(t *testing.T) {
	bin := programs(t)
	for _, c := range []struct {
		realm pass.Realm
		ended bool
	}{{pass.Realm{Kind: pass.Index, Name: "campus"}, true}, {pass.Realm{Kind: pass.Plugin}, false}} {
		var mu sync.Mutex
		var shown, asked []string
		index := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, r.Method+" "+r.URL.Path)
			raw, _ := base64.StdEncoding.DecodeString(r.Header.Get("X-Devpi-Auth"))
			switch r.Method + " " + r.URL.Path {
			case "GET /ann/dev/+api":
				fmt.Fprint(w, `{"type": "apiconfig", "result": {"login": "/+login", "index": "/ann/dev", "authstatus": ["noauth", "", []]}}`)
			case "POST /+daypass/end":
				shown = append(shown, string(raw))
				fmt.Fprint(w, `{"type": "token-ended", "result": {"event": "K3QF-7"}}`)
			default:
				w.WriteHeader(404)
			}
		}))
		defer index.Close()
		p, err := pass.Mint(pass.NewKey([]byte("0123456789abcdef")), pass.Identity{Realm: c.realm, User: "ann", ID: "abcdefgh"}, "expires=4100000000")
		if err != nil {
			t.Fatal(err)
		}
		n := newSlurmNode(t, filepath.Join(bin, "daypass"))
		wide := n.put("wide.pass", p.Text(pass.Devpi).Reveal())
		if err := os.Chmod(wide, 0o600); err != nil {
			t.Fatal(err)
		}
		n.run("prolog.sh")
		said := n.run("task-prolog.sh", "DAYPASS_TOKEN_FILE="+wide, "DEVPI_INDEX="+index.URL+"/ann/dev/", "HOME="+n.dir)
		if !strings.Contains(said, "export DAYPASS_TOKEN_FILE="+n.job+"/pass\n") || strings.Contains(said, "print ") {
			t.Fatalf("the task's prolog says:\n%s", said)
		}
		narrow, err := os.ReadFile(filepath.Join(n.job, "pass"))
		if st, err := os.Stat(n.job); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("the job's folder: %v", err)
		}
		if err != nil || strings.TrimSpace(string(narrow)) == p.Text(pass.Devpi).Reveal() {
			t.Fatalf("the job has no narrower pass: %v", err)
		}
		n.run("epilog.sh")
		if want := "ann:" + strings.TrimSpace(string(narrow)); c.ended && (len(shown) != 1 || shown[0] != want) {
			t.Errorf("%v: what was shown to be ended is not the job's pass, of %d; asked %q", c.realm.Kind, len(shown), asked)
		}
		if !c.ended && len(asked) > 0 {
			t.Errorf("devpi-tokens was asked %q", asked)
		}
		if _, err := os.Stat(n.job); !os.IsNotExist(err) {
			t.Errorf("the job's folder is still there: %v", err)
		}
	}
}

// TestSlurmService: at the access service the pass is ended as the job's owner,
// with what the job knew; where there is nothing to end nobody is asked.
func TestSlurmService(t *testing.T) {
	heard := filepath.Join(t.TempDir(), "heard")
	standIn := filepath.Join(t.TempDir(), "daypass")
	text := "#!/bin/sh\necho \"$DAYPASS_URL $*\" >>" + heard + "\nwhile [ $# -gt 0 ]; do [ \"$1\" != --output ] || echo made >\"$2\"; shift; done\n"
	if err := os.WriteFile(standIn, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	n := newSlurmNode(t, standIn)
	n.run("prolog.sh")
	n.run("task-prolog.sh", "DAYPASS_URL=https://hub.example/services/daypass/", "DAYPASS_TOKEN=x")
	n.run("epilog.sh")
	got, _ := os.ReadFile(heard)
	want := "https://hub.example/services/daypass/ pass narrow --for-job --yes --output " + n.job + "/pass\n" +
		"https://hub.example/services/daypass/ pass revoke --file " + n.job + "/pass\n"
	if string(got) != want {
		t.Errorf("daypass was run as\n%swant\n%s", got, want)
	}
	n.run("prolog.sh")
	if said := n.run("task-prolog.sh"); said != "" {
		t.Errorf("a job without a pass: %s", said)
	}
	n.run("epilog.sh")
	n.run("epilog.sh") // twice
	if again, _ := os.ReadFile(heard); string(again) != want {
		t.Errorf("for a job without a pass daypass was run:\n%s", again)
	}
}
