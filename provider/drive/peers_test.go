package drive_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/provider/google"
	"github.com/daypass-dev/daypass/provider/providertest"
)

// A street is a Drive under its true names, behind a proxy with a certificate of its
// own.
type street struct {
	*bench
	network *fake.Network
	keyFile string
}

func newStreet(t *testing.T, seed fake.DriveSeed, sw fake.DriveSwitches) *street {
	t.Helper()
	s := &street{bench: newBench(t, seed, sw, nil), keyFile: filepath.Join(t.TempDir(), "key.json")}
	hosts := map[string]http.Handler{}
	for _, name := range s.Hosts() {
		hosts[name] = s.Drive
	}
	var err error
	if s.network, err = fake.NewNetwork(t.TempDir(), hosts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.network.Close)
	if err := os.WriteFile(s.keyFile, serviceKey().File, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := google.Key(google.Config{Base: s.network.Transport()}, serviceKey().File)
	if err != nil {
		t.Fatal(err)
	}
	if s.read, err = drive.New(drive.Config{Token: tokens.Token, Renew: tokens.Renew, Email: tokens.Email, Pace: quick{}, Base: s.network.Transport()}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *street) run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env = append(s.network.Env(), "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"), "GOOGLE_API_GO_EXPERIMENTAL_DISABLE_NEW_AUTH_LIB=")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, errs.String())
	}
	return out
}

// ours is what our provider reads, by path.
func (s *street) ours(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	l := s.list(t, source(rootID))
	if !l.Complete {
		t.Fatal("our listing is not complete")
	}
	for _, it := range l.Items {
		text, err := s.open(t, it)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.Join(it.Parts, "\x00")+"\x00"+it.ID] = text
	}
	return out
}

// TestGooglesLibrary: Google's own client takes the stand-in for Drive, and reads from
// it what ours reads.
func TestGooglesLibrary(t *testing.T) {
	program := deposittest.Program(t, "DAYPASS_TEST_DRIVECLIENT")
	seed, ids := seedOf(providertest.Tree())
	s := newStreet(t, seed, fake.DriveSwitches{})
	theirs, token := map[string]string{}, ""
	lines := bufio.NewScanner(bytes.NewReader(s.run(t, program, s.keyFile, rootID)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var f struct {
			Path            []string
			ID, Text, Token string
		}
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		if f.Token != "" {
			token = f.Token
			continue
		}
		if !strings.Contains(f.Text, "\xff") && !strings.Contains(f.Text, "�") {
			theirs[strings.Join(f.Path, "\x00")+"\x00"+f.ID] = f.Text
		}
	}
	ours := s.ours(t)
	for k, text := range ours {
		if strings.Contains(text, "\xff") { // JSON does not hold it
			delete(ours, k)
		}
	}
	if len(ours) < 10 || !maps.Equal(ours, theirs) {
		t.Errorf("ours:   %q\ntheirs: %q", slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs)))
	}
	s.Edit(ids["README.md"][0], func(f *fake.DriveFile) { f.Text = "changed" })
	if out := s.run(t, program, s.keyFile, rootID, token); !bytes.Contains(out, []byte(`"changes":1`)) {
		t.Errorf("the feed of changes: %s", out)
	}
	if refused := s.network.Proxy.Refused(); len(refused) > 0 {
		t.Logf("the library also tried %q", refused)
	}
}

// TestRclone: rclone lists and copies the same, and is told the same about what cannot
// be had.
func TestRclone(t *testing.T) {
	program := deposittest.Program(t, "DAYPASS_TEST_RCLONE")
	var plain []providertest.File
	for _, f := range append(providertest.Tree(), course(4, 60)...) {
		// rclone writes these names in a way of its own, or warns of two that are one.
		if name := f.Parts[0]; name != "twice.txt" && name != "both" && name != ".." && !strings.ContainsAny(name, `/\`) {
			plain = append(plain, f)
		}
	}
	seed, _ := seedOf(plain)
	s := newStreet(t, seed, fake.DriveSwitches{ShortPages: 7})
	remote := ":drive,scope=drive.readonly,service_account_file=" + s.keyFile + ",root_folder_id=" + rootID + ":"
	flags := []string{"--ca-cert", s.network.CAFile, "--retries", "1", "--low-level-retries", "2", "--drive-pacer-min-sleep", "1ms"}
	var listed []struct {
		Path, ID string
		Size     int64
		Hashes   map[string]string
	}
	if err := json.Unmarshal(s.run(t, program, append([]string{"lsjson", "-R", "--files-only", "--hash", remote}, flags...)...), &listed); err != nil {
		t.Fatal(err)
	}
	l := s.list(t, source(rootID))
	ours := map[string]daypass.Item{}
	for _, it := range l.Items {
		ours[strings.Join(it.Parts, "/")] = it
	}
	if len(listed) != len(plain) || len(ours) != len(plain) {
		t.Errorf("rclone lists %d files, we %d, there are %d", len(listed), len(ours), len(plain))
	}
	for _, f := range listed {
		if it := ours[f.Path]; it.ID != f.ID || it.Size != f.Size {
			t.Errorf("%q: rclone has %s, %d; we %s, %d", f.Path, f.ID, f.Size, it.ID, it.Size)
		}
	}
	dir := t.TempDir()
	s.run(t, program, append([]string{"copy", remote, dir}, flags...)...)
	for name, it := range ours {
		r, err := s.read.Open(t.Context(), source(rootID), it, 0)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		r.Close()
		theirs, err2 := os.ReadFile(filepath.Join(dir, name))
		if err != nil || err2 != nil || !bytes.Equal(text, theirs) {
			t.Errorf("%q: %q, %v; rclone: %q, %v", name, text, err, theirs, err2)
		}
	}
	copied := 0
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
		if d.Type().IsRegular() {
			copied++
		}
		return nil
	})
	if copied != len(plain) {
		t.Errorf("rclone copied %d files of %d", copied, len(plain))
	}
	for _, r := range s.Requests() {
		if r.Method != "GET" && r.Host != fake.TokenHost {
			t.Errorf("%s %s%s", r.Method, r.Host, r.Path)
		}
	}
}
