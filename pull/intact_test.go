package pull

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

func noise(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// oldTool commits as tools did that git fsck finds fault with.
func oldTool(d *desk, kind string) {
	d.t.Helper()
	head := strings.TrimSpace(d.src.Git("rev-parse", "refs/heads/main"))
	tree, who := strings.TrimSpace(d.src.Git("rev-parse", head+"^{tree}")), "x <x@x> 1234567890 +0100"
	switch kind {
	case "badTimezone":
		who = "x <x@x> 1234567890 +051800"
	case "missingEmail":
		who = "x 1234567890 +0100"
	case "badEmail":
		who = "x <x@x<y> 1234567890 +0100"
	case "missingSpaceBeforeDate":
		who = "x <x@x>1234567890 +0100"
	case "missingNameBeforeEmail":
		who = "<x@x> 1234567890 +0100"
	case "zeroPaddedFilemode":
		sub := strings.TrimSpace(d.src.Git("rev-parse", head+":s"))
		tree = strings.TrimSpace(d.src.Tree(gittest.Entry{Mode: "100644", Name: "a", ID: strings.TrimSpace(d.src.Git("rev-parse", head+":a"))}, gittest.Entry{Mode: "040000", Name: "s", ID: sub}))
	default:
		d.t.Fatal(kind)
	}
	old := d.src.Pipe("tree "+tree+"\nparent "+head+"\nauthor "+who+"\ncommitter "+who+"\n\nold\n", "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	d.src.Git("update-ref", "refs/heads/main", strings.TrimSpace(old))
}

// TestCutFetchKeepsBackups has a fetch break off where git fsck finds fault with our
// repository, although it is whole: an old tool's commit, a file that was left out. What
// is kept there stays in reach.
func TestCutFetchKeepsBackups(t *testing.T) {
	for _, name := range []string{"old tool", "left out"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.p.Git.Protocols = "http:file"
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "big": noise(5000), "s/b": "b"})
			options := gittest.Options{}
			if name == "left out" {
				d.p.Limits = snapshot.Limits{File: 1000}
				options = gittest.Options{Filter: true, AnySHA: true}
			} else {
				oldTool(d, "badTimezone")
			}
			server := d.src.Serve(options)
			ask := d.ask()
			ask.URL = server.Of(d.src)
			pull := func() error {
				_, err := d.p.Pull(t.Context(), ask)
				return err
			}
			if err := pull(); err != nil {
				t.Fatal(err)
			}
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs")})
			d.write("a", long("9 mine"))
			if err := pull(); err != nil {
				t.Fatal(err)
			}
			more := gittest.Files{}
			for i := range 60 {
				more[fmt.Sprint("n", i)] = noise(600)
			}
			d.src.Commit("main", "three", more)
			server.Fault(gittest.Fault{Match: "upload-pack", Method: "POST", After: 2000, Cut: true})
			if err := pull(); err == nil {
				t.Fatal("it was not cut")
			}
			if kept, _ := filepath.Glob(filepath.Join(d.stateDir(), "kept/*")); len(kept) > 0 {
				t.Errorf("put aside: %v", kept)
			}
			server.Fault()
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil || d.files()["a"] != long("9 mine") {
				t.Errorf("%v, %q", err, d.files()["a"])
			}
			if err := pull(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBackupsOfDamaged: our repository is damaged, and put aside. What it kept of the
// user's is in reach all the same.
func TestBackupsOfDamaged(t *testing.T) {
	for _, git := range []string{"with .git", "without .git", "with .git, empty", "without .git, empty"} {
		t.Run(git, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			d.write("a", long("9 mine"))
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs")})
			d.pull()
			oid := d.git("rev-parse", "HEAD^{tree}")
			for _, repo := range []string{filepath.Join(d.stateDir(), "repo.git"), filepath.Join(d.folder, ".git")} {
				loosen(t, repo)
				file := filepath.Join(repo, "objects", oid[:2], oid[2:])
				os.Remove(file)
				if strings.HasSuffix(git, "empty") {
					os.WriteFile(file, nil, 0o600)
				}
			}
			if strings.HasPrefix(git, "without") {
				d.remove(".git")
			}
			all, err := d.p.Backups(d.folder)
			if err != nil || len(all) != 1 {
				t.Fatalf("%+v, %v", all, err)
			}
			d.src.Commit("main", "three", gittest.Files{"b": "b3"})
			d.pull()
			if kept, _ := filepath.Glob(filepath.Join(d.stateDir(), "kept/repo.git-*")); (len(kept) == 1) != strings.HasSuffix(git, "empty") {
				t.Errorf("put aside: %v", kept)
			}
			var b bytes.Buffer
			if err := d.p.Recover(t.Context(), d.folder, all[0].ID, "a", &b); err != nil || b.String() != long("9 mine") {
				t.Errorf("%v: %q", err, b.String())
			}
			for range 2 {
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Fatal(err)
				}
				d.git("status")
				d.git("log", "-1")
			}
			d.want(map[string]string{"a": long("9 mine"), "b": "b"})
			d.pull()
			if got := d.files(); !strings.Contains(got["a"], "9 mine") || got["b"] != "b3" {
				t.Errorf("%q", got)
			}
		})
	}
}

// liar answers fetches with a pack that lacks what was asked for, so many times.
type liar struct {
	times  atomic.Int64
	honest http.Handler
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !bytes.Contains(body, []byte("command=fetch")) || l.times.Add(-1) < 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
		l.honest.ServeHTTP(w, r)
		return
	}
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	pack.WriteByte(3<<4 | 4)
	z := zlib.NewWriter(&pack)
	z.Write([]byte("lies"))
	z.Close()
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	packet := func(text string) { fmt.Fprintf(w, "%04x%s", len(text)+4, text) }
	if bytes.Contains(body, []byte("have ")) {
		packet("acknowledgments\n")
		packet("ready\n")
		io.WriteString(w, "0001")
	}
	packet("packfile\n")
	packet("\x01" + pack.String())
	io.WriteString(w, "0000")
}

// TestServerLies: what a source does not send is no damage of the user's own repository.
func TestServerLies(t *testing.T) {
	for _, times := range []int64{1, 2, 100} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.p.Git.Protocols = "http:file"
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			l := &liar{honest: d.src.Serve(gittest.Options{})}
			s := httptest.NewServer(l)
			t.Cleanup(s.Close)
			ask := d.ask()
			ask.URL = s.URL + "/" + filepath.Base(d.src.Dir)
			if _, err := d.p.Pull(t.Context(), ask); err != nil {
				t.Fatal(err)
			}
			d.git("branch", "mine")
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs")})
			l.times.Store(times)
			_, err := d.p.Pull(t.Context(), ask)
			var p *daypass.Problem
			if errors.As(err, &p) && p.Code != "DP-319" || times == 1 && err != nil || times == 100 && err == nil {
				t.Error(err)
			}
			l.times.Store(0)
			if _, err := d.p.Pull(t.Context(), ask); err != nil {
				t.Error(err)
			}
			d.want(map[string]string{"a": long("1 theirs"), "b": "b"})
			d.git("rev-parse", "--verify", "refs/heads/mine")
			d.sound()
			if kept, _ := filepath.Glob(filepath.Join(d.stateDir(), "kept/*")); len(kept) > 0 {
				t.Errorf("put aside: %v", kept)
			}
		})
	}
}

// TestOldTools pulls histories that git fsck finds fault with, from sources that leave
// files out and from those that do not.
func TestOldTools(t *testing.T) {
	for _, kind := range []string{"badTimezone", "zeroPaddedFilemode", "missingEmail", "badEmail", "missingSpaceBeforeDate", "missingNameBeforeEmail"} {
		for _, filter := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, filter), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				d.p.Git.Protocols = "http:file"
				d.src.Commit("main", "one", gittest.Files{"a": "a", "s/b": "b"})
				oldTool(d, kind)
				ask := d.ask()
				ask.URL = d.src.Serve(gittest.Options{Filter: filter, AnySHA: true}).Of(d.src)
				if _, err := d.p.Pull(t.Context(), ask); err != nil {
					t.Fatal(err)
				}
				d.want(map[string]string{"a": "a", "s/b": "b"})
				d.src.Commit("main", "two", gittest.Files{"a": "a2"})
				if _, err := d.p.Pull(t.Context(), ask); err != nil {
					t.Fatal(err)
				}
				d.want(map[string]string{"a": "a2", "s/b": "b"})
			})
		}
	}
}
