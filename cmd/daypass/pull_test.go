package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/pullpage"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestPageSettings: daypass-page understands what "daypass page" tells it, all
// of it, although the two share no type.
func TestPageSettings(t *testing.T) {
	keys := func(v any) []string {
		var out []string
		for i := range reflect.TypeOf(v).NumField() {
			f := reflect.TypeOf(v).Field(i)
			out = append(out, f.Name+" "+f.Type.String()+" "+f.Tag.Get("json"))
		}
		return out
	}
	if ours, theirs := keys(pageSettings{}), keys(pullpage.Settings{}); !reflect.DeepEqual(ours, theirs) {
		t.Errorf("daypass page writes\n%q, daypass-page reads\n%q", ours, theirs)
	}
	if settingsVariable != pullpage.SettingsVariable {
		t.Errorf("%s is written, %s is read", settingsVariable, pullpage.SettingsVariable)
	}
}

// TestPageSettingsOrder: variables over files, nbgitpuller's own among them.
func TestPageSettingsOrder(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.env["HOME"] = t.TempDir()
	write(t, b.etcConfig, "pull: {depth: 7, parent: courses, app: lab, owners: [github.com/river-lab]}\n", 0o644)
	get := func() pageSettings {
		t.Helper()
		s, err := b.pageSettings()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pullpage.ReadSettings(string(text)); err != nil {
			t.Fatalf("daypass-page refuses %s: %v", text, err)
		}
		return s
	}
	if s := get(); *s.Depth != 7 || s.Parent != "courses" || s.App != "lab" || len(s.Owners) != 1 || s.Home != filepath.Join(b.env["HOME"], ".local/share/daypass/pulls") {
		t.Errorf("from the file: %+v", s)
	}
	b.env["NBGITPULLER_DEPTH"], b.env["NBGITPULLER_PARENTPATH"], b.env["NBGITPULLER_APP"] = "0", "work/pulled", "notebook"
	if s := get(); *s.Depth != 0 || s.Parent != "work/pulled" || s.App != "notebook" {
		t.Errorf("from nbgitpuller's variables: %+v", s)
	}
	b.env["DAYPASS_PULL_DEPTH"], b.env["DAYPASS_PULL_PARENT"], b.env["DAYPASS_PULL_APP"] = "3", "mine", "retro"
	if s := get(); *s.Depth != 3 || s.Parent != "mine" || s.App != "retro" {
		t.Errorf("from our variables: %+v", s)
	}
	for name, value := range map[string]string{"DAYPASS_PULL_DEPTH": "many", "DAYPASS_PULL_PARENT": "../x", "DAYPASS_PULL_APP": "vim"} {
		old := b.env[name]
		b.env[name] = value
		if _, err := b.pageSettings(); err == nil || !strings.Contains(err.Error(), "DP-363") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
		b.env[name] = old
	}
}

func TestPullConfigMistakes(t *testing.T) {
	for _, c := range []struct{ name, etc, user, want string }{
		{"a user's limit", "", "pull:\n  max_total: 10GB\n", "pull.max_total in"},
		{"a user's limit, line", "", "pull:\n  depth: 1\n  max_file: 10GB\n", "line 3"},
		{"a user's owners", "", "pull: {owners: [github.com/me]}\n", "pull.owners in"},
		{"a user's hosts", "", "pull: {allowed_hosts: [evil.example]}\n", "pull.allowed_hosts in"},
		{"a user's protocols", "", "pull: {protocols: [file]}\n", "pull.protocols in"},
		{"a user's number", "", "pull: {max_files: 10}\n", "pull.max_files in"},
		{"escaped", "", "pull: {\"max\\x5ftotal\": 10GB}\n", "pull.max_total in"},
		{"unknown", "", "pull:\n  dept: 1\n", "user.yaml, line 2"},
		{"depth below nothing", "", "pull: {depth: -1}\n", "pull.depth in"},
		{"a parent above", "", "pull: {parent: ../x}\n", "pull.parent in"},
		{"a parent elsewhere", "", "pull: {parent: /srv}\n", "pull.parent in"},
		{"an app", "", "pull: {app: vim}\n", "pull.app in"},
		{"no size", "pull: {max_file: huge}\n", "", "pull.max_file in"},
		{"no number", "pull: {max_files: -1}\n", "", "pull.max_files in"},
		{"a protocol", "pull: {protocols: [ext]}\n", "", "pull.protocols in"},
		{"a host with a path", "pull: {allowed_hosts: [github.com/x]}\n", "", "pull.allowed_hosts in"},
		{"an owner by URL", "pull: {owners: [\"ftp://github.com/x\"]}\n", "", "pull.owners in"},
	} {
		b := newBench(t, fake.Switches{})
		b.env["DAYPASS_CONFIG"] = filepath.Join(filepath.Dir(b.etcConfig), "user.yaml")
		write(t, b.etcConfig, c.etc, 0o644)
		write(t, b.env["DAYPASS_CONFIG"], c.user, 0o644)
		if _, err := b.loadConfig(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "DP-502") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "100MB": 100e6, "100 MB": 100e6, "1GB": 1e9, "1.5GiB": 3 << 29, "20kB": 20e3, "64KiB": 64 << 10, "2TB": 2e12,
		"": 0, "0": 0, "-1": 0, "MB": 0, "1e9": 1e9, "NaN": 0, "Inf": 0, "1e300": 0, "10PB": 0, "5 apples": 0, "0x10": 0, "0.1": 0,
	} {
		got, err := parseSize(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_250_000: "1.2 MB", 3_000_000_000: "3.0 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestAllowedHosts: the admins' list holds for every form of an address.
func TestAllowedHosts(t *testing.T) {
	p := pullConfig{AllowedHosts: []string{"github.com", "git.example.org:8443"}}
	for text, ok := range map[string]bool{
		"https://github.com/o/c": true, "https://www.github.com/o/c": true, "git@github.com:o/c": true, "ssh://git@GitHub.com/o/c": true,
		"https://git.example.org:8443/o/c.git": true, "/srv/course": true,
		"https://git.example.org/o/c.git": false, "https://github.com.evil.example/o/c": false, "https://gist.github.com/o/5423616": false,
		"https://github.com@evil.example/o/c": false, "evil.example:o/c": false, "https://github.com:444/o/c": false,
		"https://hub.example/git-pull?repo=https://evil.example/o/c": false,
	} {
		list, err := resolve.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range list {
			if err := allowed(p, g, false); (err == nil) != ok {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// A clockwork is a clock that a test moves.
type clockwork struct{ t time.Time }

func (c *clockwork) now() time.Time { return c.t }

// TestProgress: a bar is redrawn at most ten times a second, fits its terminal,
// says bytes, files, rate and time left, and goes away at the end.
func TestProgress(t *testing.T) {
	for _, width := range []int{20, 40, 80, 200} {
		var out bytes.Buffer
		clock := &clockwork{time.Unix(1e9, 0)}
		a := &app{now: clock.now, width: func() int { return width }}
		p := a.newProgress(&screen{out: io.Discard, err: &out, now: clock.now, rich: true}, false)
		p.event(pull.Event{Phase: pull.Looking})
		for i := range 500 { // 5 seconds
			clock.t = clock.t.Add(10 * time.Millisecond)
			p.event(pull.Event{Phase: pull.Fetching, Bytes: int64(i) * 100_000, BytesTotal: 100_000_000, Files: int64(i), FilesTotal: 1000})
		}
		p.end()
		draws := strings.Split(out.String(), "\r\x1b[2K")[1:]
		if n := len(draws); n < 40 || n > 53 {
			t.Errorf("width %d: %d draws in 5 seconds", width, n)
		}
		for _, d := range draws {
			if len(d) >= width || strings.ContainsAny(d, "\n\x1b") {
				t.Fatalf("width %d: %q", width, d)
			}
		}
		if last := draws[len(draws)-1]; last != "" {
			t.Errorf("what remains on the line: %q", last)
		}
		line := draws[len(draws)-2]
		for want, from := range map[string]int{"Fetching": 20, "49 %": 20, "49.0 MB of 100.0 MB": 80, "10.0 MB/s": 80, "490 of 1000 objects": 80, "6 s left": 80, "[####": 200} {
			if width >= from && !strings.Contains(line, want) {
				t.Errorf("width %d: %q has no %q", width, line, want)
			}
		}
	}
}

// TestProgressHint: a slow fetch is told once what makes it faster; a quick one, and
// what is not fetched, never.
func TestProgressHint(t *testing.T) {
	for name, c := range map[string]struct {
		phase pull.Phase
		steps int
		quiet bool
		want  int
	}{"slow": {pull.Fetching, 400, false, 1}, "quick": {pull.Fetching, 100, false, 0}, "written": {pull.Writing, 400, false, 0}, "quiet": {pull.Fetching, 400, true, 0}} {
		var out bytes.Buffer
		clock := &clockwork{time.Unix(1e9, 0)}
		p := (&app{now: clock.now}).newProgress(&screen{out: io.Discard, err: &out, now: clock.now}, c.quiet)
		p.hint = "faster: alone"
		for i := range c.steps {
			clock.t = clock.t.Add(100 * time.Millisecond)
			p.event(pull.Event{Phase: c.phase, Files: int64(i), FilesTotal: 1000})
		}
		p.end()
		if n := strings.Count(out.String(), "faster: alone\n"); n != c.want {
			t.Errorf("%s: told %d times: %q", name, n, out.String())
		}
	}
	drive, _ := daypass.ParseSource("drive:drive.google.com/1AbCdEfGhIjKlMnOpQrStUvWx")
	record, _ := daypass.ParseSource("invenio:zenodo.org/7")
	told := func(s daypass.Source, by int, env, via string) bool {
		a := &app{getenv: func(string) string { return env }}
		cfg := config{}
		cfg.sources.Drive.SharedBy = by
		return a.driveHint(cfg, pull.Ask{Content: pull.Read(snapshot.Content{}, s), Via: via}) != ""
	}
	if !told(drive, 0, "", "") || told(drive, 1, "", "") || told(drive, 0, "1", "") || told(drive, 0, "", "service") || told(record, 0, "", "") {
		t.Error("the hint is for a Drive of which nobody said how many share it")
	}
}

// TestProgressHintLine: the hint says what to write where, and that is good there.
func TestProgressHintLine(t *testing.T) {
	s, _ := daypass.ParseSource("drive:drive.google.com/1AbCdEfGhIjKlMnOpQrStUvWx")
	for was, want := range map[string]string{
		"":                   ": sources: {drive: {shared_by: 1}}",
		"host: github.com\n": ": sources: {drive: {shared_by: 1}}",
		"sources:\n  invenio: [data.example.edu]\n": ": drive: {shared_by: 1}",
		"sources:\n  drive: {identity: metadata}\n": `add "shared_by: 1" to "drive" below "sources" in `,
	} {
		home := t.TempDir()
		file := filepath.Join(home, ".config", "daypass", "config.yaml")
		write := func(text string) {
			t.Helper()
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if was != "" {
			write(was)
		}
		a := &app{uid: os.Getuid(), etcConfig: filepath.Join(home, "none.yaml"), getenv: func(name string) string { return map[string]string{"HOME": home}[name] }}
		hint := func() string {
			t.Helper()
			cfg, err := a.loadConfig()
			if err != nil {
				t.Fatal(err)
			}
			return a.driveHint(cfg, pull.Ask{Content: pull.Read(snapshot.Content{}, s)})
		}
		got := hint()
		if !strings.Contains(got, "DAYPASS_DRIVE_SHARED_BY=1 before the command") || !strings.Contains(got, want) || !strings.Contains(got, file) {
			t.Fatalf("%q: %q", was, got)
		}
		_, line, _ := strings.Cut(got, file+": ")
		switch {
		case line == "":
			write(strings.Replace(was, "metadata", "metadata, shared_by: 1", 1))
		case strings.HasPrefix(was, "sources:"):
			write(was + "  " + line + "\n")
		default:
			write(was + line + "\n")
		}
		if got := hint(); got != "" {
			t.Errorf("with what it said in %q: %q", was, got)
		}
	}
}

// TestProgressPlain: without a terminal, lines at sensible steps and no redraw.
func TestProgressPlain(t *testing.T) {
	var out bytes.Buffer
	clock := &clockwork{time.Unix(1e9, 0)}
	p := (&app{now: clock.now}).newProgress(&screen{out: io.Discard, err: &out, now: clock.now}, false)
	p.event(pull.Event{Phase: pull.Looking})
	for i := range 250 {
		clock.t = clock.t.Add(100 * time.Millisecond)
		p.event(pull.Event{Phase: pull.Fetching, Text: "Receiving\x1b[2J", Bytes: int64(i) * 1e6})
	}
	p.event(pull.Event{Phase: pull.Writing, FilesTotal: 3})
	p.event(pull.Event{Phase: pull.Done})
	p.end()
	want := "Looking …\nFetching …\nFetching: 100.0 MB, 10.0 MB/s\nFetching: 200.0 MB, 10.0 MB/s\nWriting …\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	p = (&app{now: clock.now}).newProgress(&screen{out: io.Discard, err: &out, now: clock.now}, true)
	out.Reset()
	p.event(pull.Event{Phase: pull.Looking})
	p.end()
	if out.Len() > 0 {
		t.Errorf("quiet, and yet: %q", out.String())
	}
}

// TestProgressJSON: each line is an event with its rate and what remains.
func TestProgressJSON(t *testing.T) {
	var out bytes.Buffer
	clock := &clockwork{time.Unix(1e9, 0)}
	p := (&app{now: clock.now}).newProgress(&screen{out: &out, err: io.Discard, now: clock.now, json: true}, false)
	for i := range 400 {
		clock.t = clock.t.Add(10 * time.Millisecond)
		p.event(pull.Event{Phase: pull.Fetching, Bytes: int64(i) * 1000, BytesTotal: 399_000, At: clock.t})
	}
	p.end()
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(rows) < 30 || len(rows) > 45 {
		t.Errorf("%d lines in 4 seconds", len(rows))
	}
	var last struct {
		Event struct {
			Phase      string
			Bytes      int64
			BytesTotal int64 `json:"bytes_total"`
			Rate       int64
			Left       int64 `json:"seconds_left"`
			At         time.Time
		}
	}
	if err := json.Unmarshal([]byte(rows[len(rows)/2]), &last); err != nil {
		t.Fatal(err)
	}
	if e := last.Event; e.Phase != "fetching" || e.BytesTotal != 399_000 || math.Abs(float64(e.Rate-100_000)) > 5000 || e.Left < 1 || e.Left > 3 || e.At.IsZero() {
		t.Errorf("%s", rows[len(rows)/2])
	}
	if !strings.Contains(rows[len(rows)-1], `"bytes":399000`) {
		t.Errorf("the last line is %s", rows[len(rows)-1])
	}
}

// TestPulledShowsNamesEscaped: nothing of a repository moves a cursor or looks
// like a line of ours.
func TestPulledShowsNamesEscaped(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, err: io.Discard, now: time.Now, rich: true}
	evil := "a\x1b[2J\r\n\u202eb\u200b.ipynb"
	s.pulled(pull.Report{
		Folder: "/home/jo/" + evil, Undo: "x", Notes: []string{evil}, Aside: evil, Diff: "+" + evil,
		Changes: []pull.Change{{Path: evil, What: pull.Kept, From: evil, Why: evil, Kept: 2, Kind: "notebook"}, {Path: evil, What: pull.Aside, From: evil}},
	}, evil)
	if text := out.String(); strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "\u202e") || strings.Contains(text, "\u200b") {
		t.Errorf("%q", text)
	}
	if n := strings.Count(out.String(), "\n"); n != 9 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}

func TestPulledNamesTen(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, err: io.Discard, now: time.Now}
	var r pull.Report
	for i := range 25 {
		r.Changes = append(r.Changes, pull.Change{Path: fmt.Sprintf("f%02d", i), What: pull.Came})
	}
	s.pulled(r, "")
	if text := out.String(); !strings.Contains(text, "f09") || strings.Contains(text, "f10") || !strings.Contains(text, "and 15 more") {
		t.Error(text)
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{"a/b.ipynb": "a/b.ipynb", "a b": "'a b'", "-x": "'./-x'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "": "''", "~": "'~'"} {
		if got := shellWord(in); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestGitpuller: the old command's words, as its users typed them.
func TestGitpuller(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "bare.git", "", 0o600)
	for in, want := range map[string]string{
		"https://h/o/c":                    "pull -- https://h/o/c .",
		"https://h/o/c main":               "pull --branch=main -- https://h/o/c .",
		"https://h/o/c  dir":               "pull -- https://h/o/c dir",
		"https://h/o/c main dir --backup":  "pull --backup --branch=main -- https://h/o/c dir",
		"--backup https://h/o/c main dir":  "pull --backup --branch=main -- https://h/o/c dir",
		"bare.git":                         "pull -- ./bare.git .",
		"--help":                           "pull --help -- ",
		"--depth 3 https://h/o/c":          "pull --depth=3 -- https://h/o/c .",
		"https://h/o/c --depth":            "pull --depth",
		"":                                 "pull -- ",
		"https://h/o/c main dir more than": "pull -- https://h/o/c main dir more than",
	} {
		var args []string
		if in != "" {
			args = strings.Split(in, " ")
		}
		if got := strings.Join((&app{}).oldNames(append([]string{"/usr/bin/gitpuller"}, args...)), " "); got != want {
			t.Errorf("gitpuller %s: %s, want %s", in, got, want)
		}
	}
}

// TestHelperIsQuoted: git starts a helper by a shell.
func TestHelperIsQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"/usr/bin/git-credential-daypass": "/usr/bin/git-credential-daypass",
		"/opt/my tools/git-credential-x":  "!'/opt/my tools/git-credential-x'",
		"/opt/it's;rm/x":                  `!'/opt/it'\''s;rm/x'`,
	} {
		if got := quoted(in); got != want {
			t.Errorf("quoted(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestSystemLines: what admins say in git's system configuration counts, from
// their own file only, and nothing that would run or redirect anything else.
func TestSystemLines(t *testing.T) {
	b := newBench(t, fake.Switches{})
	file := filepath.Join(t.TempDir(), "gitconfig")
	b.env["GIT_CONFIG_SYSTEM"], b.env["HOME"] = file, t.TempDir()
	b.env["GIT_CONFIG_COUNT"], b.env["GIT_CONFIG_KEY_0"], b.env["GIT_CONFIG_VALUE_0"] = "1", "http.proxy", "http://evil.example"
	write(t, filepath.Join(b.env["HOME"], ".gitconfig"), "[credential]\n\thelper = evil\n", 0o644)
	git, err := b.pullGit(context.Background(), config{})
	if err != nil {
		t.Fatal(err)
	}
	before := len(git.Config)
	write(t, file, "[credential]\n\thelper = site\n[credential \"https://Git.example\"]\n\tusername = x\n[http]\n\tproxy = http://outbound.example\n"+
		"[safe]\n\tdirectory = *\n[core]\n\tfsmonitor = evil\n\tsshCommand = evil\n[url \"https://evil.example/\"]\n\tinsteadOf = https://github.com/\n[alias]\n\tx = y\n", 0o644)
	git, err = b.pullGit(context.Background(), config{})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(git.Config[before:])
	want := "[[credential.helper site] [credential.https://Git.example.username x] [http.proxy http://outbound.example] [safe.directory *]]"
	if !ownedByRoot(file) {
		want = "[]" // the test is not run by root, so the file is no admin's
	}
	if got != want {
		t.Errorf("taken over: %s\nwant:       %s", got, want)
	}
	write(t, file, "[credential\n", 0o644)
	if _, err := b.pullGit(context.Background(), config{}); err == nil || !strings.Contains(err.Error(), "DP-370") {
		t.Errorf("a broken file: %v", err)
	}
}

// TestListed: what the list of commands says is what the commands say themselves,
// and the same whether they were built or not.
func TestListed(t *testing.T) {
	a := &app{}
	for _, l := range append(a.everyDay(), a.more()...) {
		if c := l.make(); c.Name() != l.name || c.Short != l.short {
			t.Errorf("%q %q is listed as %q %q", c.Name(), c.Short, l.name, l.short)
		}
	}
	usage := func(words []string) string { return strings.Join(strings.Fields(a.root(words).UsageString()), " ") } // columns differ
	if brief, whole := usage([]string{"--help"}), usage(nil); brief != whole {
		t.Errorf("the list differs:\n%s\n%s", brief, whole)
	}
	for words, want := range map[string]bool{"login": true, "help": true, "credential": false, "token-list": true, "__complete": true, "lgoin": true, "": false} {
		c, _, _ := a.root(strings.Fields(words)).Find([]string{"login"})
		if built := c.Flags().Lookup("repo") != nil; built != want {
			t.Errorf("%q: login is built: %v", words, built)
		}
	}
}

// FuzzPlainSettings: what is read here, git reads so too.
func FuzzPlainSettings(f *testing.F) {
	for _, text := range []string{
		"[credential]\n\thelper = site --file x\n", "[credential \"https://Git.example/a b\"]\nuserName=x\n# y\n; z\n", "[HTTP]\nproxy =  a  b  \n\n[safe]\ndirectory = *\n",
		"[a]b=c\n", "[a]\nb\n", "[a]\nb = \"c\"\n", "[a]\nb = c # d\n", "[a]\nb = c\\\nd\n", "[a.B]\nc=d\n", "[a \"b\"] c=d\n", "[include]\npath=x\n", "x=y\n", "[a]\r\nb=c\r\n",
		"[a]\nb=\n", "[a \"\"]\nb=c\n", "\ufeff[a]\nb=c\n", "[a]\nb=c\n[a]\nb=d\n", "[-a]\nb=c\n", "[a]\n1=c\n", "[a]\nb= \tc\t \n", "[a  \"b\"]\nc=d\n", "[a]\nb=c\x00\n", "[a]\nb=\x01\xff\n",
	} {
		f.Add(text)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		f.Skip(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ours, ok := plainSettings(text)
		if !ok {
			return
		}
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(git, "config", "--file", file, "--list", "-z").Output()
		if err != nil {
			t.Fatalf("git refuses %q: %v", text, err)
		}
		want := ""
		for _, kv := range ours {
			want += kv[0] + "\n" + kv[1] + "\x00"
		}
		if want != string(out) {
			t.Fatalf("%q\n here %q\n git  %q", text, want, out)
		}
	})
}

// TestAllowedLater: a list that the admins make later holds for folders that were
// pulled before, and for submodules, which can come from anywhere.
func TestAllowedLater(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.env["HOME"] = t.TempDir()
	source := gittest.New(t)
	source.Commit("main", "one", gittest.Files{"a": "1"})
	url := source.Serve(gittest.Options{}).Of(source)
	folder := filepath.Join(t.TempDir(), "course")
	p, err := b.puller(t.Context(), config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Pull(t.Context(), pull.Ask{URL: url, Folder: folder}); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(url, "http://")
	host, _, _ = strings.Cut(host, "/")
	for _, c := range []struct {
		hosts      []string
		args       []string
		submodules bool
		ok         bool
	}{
		{nil, []string{folder}, false, true}, {nil, []string{folder}, true, true}, {nil, []string{url, "x"}, false, true},
		{[]string{host}, []string{folder}, false, true}, {[]string{host}, []string{folder}, true, false}, {[]string{host}, []string{url, "x"}, true, false},
		{[]string{"github.com"}, []string{folder}, false, false}, {[]string{"github.com"}, []string{url, "x"}, false, false},
	} {
		_, err := b.pullAsk(t.Context(), p, config{pull: pullConfig{AllowedHosts: c.hosts}}, c.args, pullOptions{depth: 1, submodules: c.submodules})
		if (err == nil) != c.ok || err != nil && (!strings.Contains(err.Error(), "DP-368") || daypass.ExitCode(err) != 4) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// TestPrinted: a file's bytes go to a pipe as they are, and to a terminal escaped.
func TestPrinted(t *testing.T) {
	for shown, want := range map[bool]string{false: "a\tb\n\x1b[2Jc\r\n", true: "a\tb\n\\u001b[2Jc\\u000d\n"} {
		var out bytes.Buffer
		a := &app{stdout: &out, shown: shown}
		if err := a.printed(func(w io.Writer) error { _, err := io.WriteString(w, "a\tb\n\x1b[2Jc\r\n"); return err }); err != nil || out.String() != want {
			t.Errorf("on a terminal: %v: %q, want %q (%v)", shown, out.String(), want, err)
		}
	}
}
