package canvas_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

// TestCanvasapi: a client that others wrote takes the stand-in for Canvas, and reads from
// it what ours reads: as a teacher, a student, in a group and one's own.
func TestCanvasapi(t *testing.T) {
	python := deposittest.Program(t, "DAYPASS_TEST_CANVASAPI")
	for _, c := range []struct {
		context string
		who     int64
		locked  bool
	}{{"courses/42", teacher, false}, {"courses/42", student, true}, {"groups/7", student, false}, {"users/2", student, false}} {
		t.Run(strings.ReplaceAll(c.context, "/", " "), func(t *testing.T) {
			seed, _ := seedOf(c.context, append(providertest.Tree(), providertest.File{Parts: []string{"lab1", "later.pdf"}, Text: "exam", Locked: true}))
			seed.Files = append(seed.Files, fake.CanvasFile{ID: 9001, Folder: 100, Name: "hidden.pdf", Text: "exam", Hidden: true})
			seed.Courses[0].Modules = []fake.CanvasModule{{ID: 1, Name: "Week 1", Items: []fake.CanvasModuleItem{{Title: "Start here"}, {Title: "Lab 1", File: 5002}}}}
			b := newBench(t, seed, fake.CanvasSwitches{MaxPage: 4}, c.who, nil)
			network, err := fake.NewNetwork(t.TempDir(), map[string]http.Handler{host: b.Canvas, store: b.Canvas})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(network.Close)
			token := daypass.NewSecret(b.token)
			b.read = canvas.New(canvas.Config{Host: host, Token: func(context.Context) (daypass.Secret, error) { return token, nil }, Base: network.Transport()})
			kind, number, _ := strings.Cut(c.context, "/")
			theirs, modules := readByPeer(t, network, python, "https://"+host, b.token, kind, number)
			ours := readByUs(t, b, c.context)
			if !maps.Equal(theirs, ours) || len(ours) < 10 {
				t.Errorf("canvasapi reads %d files, we %d:\n%q\n%q", len(theirs), len(ours), theirs, ours)
			}
			if kind == "courses" && modules != `[["Week 1",["Start here","Lab 1"]]]` {
				t.Errorf("modules: %s", modules)
			}
		})
	}
}

// TestCanvasapiCourses: that client lists one's courses by the stand-in, and so does ours:
// of its list those that are taught.
func TestCanvasapiCourses(t *testing.T) {
	python := deposittest.Program(t, "DAYPASS_TEST_CANVASAPI")
	b := newBench(t, coursesSeed(), fake.CanvasSwitches{MaxPage: 4}, teacher, nil)
	network, err := fake.NewNetwork(t.TempDir(), map[string]http.Handler{host: b.Canvas, store: b.Canvas})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	cmd := exec.Command(python, "testdata/courses.py", "https://"+host, b.token)
	cmd.Env = append(network.Env(), "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var theirs []string
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) == 4 && (strings.Contains(f[3], "teacher:active") || strings.Contains(f[3], "ta:active") || strings.Contains(f[3], "designer:active")) {
			theirs = append(theirs, "courses/"+f[0]+" "+f[2])
		}
	}
	var ours []string
	list, _, err := b.read.Courses(t.Context(), 100)
	for _, c := range list {
		ours = append(ours, c.ID+" "+c.Name)
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	if err != nil || len(lines) != 11 || len(ours) != 7 || !slices.Equal(theirs, ours) {
		t.Errorf("%v\ncanvasapi lists %d, of which taught %q\nours %q\n%s", err, len(lines), theirs, ours, out)
	}
}

// readByPeer returns each file's content, or "locked", by its id and path.
func readByPeer(t *testing.T, network *fake.Network, python string, args ...string) (map[string]string, string) {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(python, append([]string{"testdata/read.py"}, args...)...)
	cmd.Env = append(network.Env(), "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	files, modules := map[string]string{}, ""
	for _, text := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var line struct {
			Parts   []string
			ID, Hex string
			Size    int
			Locked  bool
			Modules json.RawMessage
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Modules != nil {
			var small bytes.Buffer
			if err := json.Compact(&small, line.Modules); err != nil {
				t.Fatal(err)
			}
			modules = small.String()
			continue
		}
		content, err := hex.DecodeString(line.Hex)
		if err != nil || !line.Locked && len(content) != line.Size {
			t.Fatalf("%q: %v", line.Parts, err)
		}
		files[line.ID+" "+strings.Join(line.Parts, "\x00")] = orLocked(line.Locked, string(content))
	}
	return files, modules
}

func readByUs(t *testing.T, b *bench, context string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, it := range b.list(t, context).Items {
		text := ""
		if it.Skip == "" {
			var err error
			if text, err = b.text(t.Context(), source(context), it); err != nil {
				t.Fatal(err)
			}
		}
		out[it.ID+" "+strings.Join(it.Parts, "\x00")] = orLocked(it.Skip != "", text)
	}
	return out
}

func orLocked(locked bool, text string) string {
	if locked {
		return "locked"
	}
	return text
}
