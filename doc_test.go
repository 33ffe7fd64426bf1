package daypass_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/shipping"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sections cuts a page at its headings of a level and returns their texts by
// heading.
func sections(text, mark string) map[string]string {
	out := map[string]string{}
	for _, part := range strings.Split("\n"+text, "\n"+mark+" ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		out[title] = body
	}
	return out
}

// TestManual holds doc/manual.md to the programs' own help: each command has a
// section, and each flag stands in its command's section.
func TestManual(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the programs")
	}
	bin := t.TempDir()
	if err := shipping.Build(bin, "", "daypass", "daypassd", "daypass-page", "git-credential-daypass"); err != nil {
		t.Fatal(err)
	}
	manual := sections(readText(t, "doc/manual.md"), "###")
	var walk func(words ...string)
	walk = func(words ...string) {
		help := helpOf(t, bin, words)
		title := "`" + strings.Join(append([]string{"daypass"}, words...), " ") + "`"
		body, ok := manual[title]
		if !ok && len(words) > 0 {
			t.Errorf("doc/manual.md has no section %q", "### "+title)
		}
		for _, m := range flagLine.FindAllStringSubmatch(help, -1) {
			if flag := m[1]; len(words) > 0 && flag != "help" && !strings.Contains(body, "`--"+flag) {
				t.Errorf("doc/manual.md does not name --%s under %s", flag, title)
			}
		}
		for _, name := range subcommands(help) {
			walk(append(slices.Clone(words), name)...)
		}
	}
	walk()
}

var (
	flagLine    = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?--([a-z-]+)`)
	commandLine = regexp.MustCompile(`^  ([a-z][a-z-]*) {2,}[A-Z]`)
)

// subcommands reads the lists between "Usage:" and "Flags:"; what stands above
// are examples.
func subcommands(help string) []string {
	_, rest, _ := strings.Cut(help, "\nUsage:\n")
	rest, _, _ = strings.Cut(rest, "\nFlags:\n")
	var out []string
	for line := range strings.Lines(rest) {
		if m := commandLine.FindStringSubmatch(line); m != nil {
			out = append(out, m[1])
		}
	}
	return out
}

func helpOf(t *testing.T, bin string, words []string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "daypass"), append(slices.Clone(words), "--help")...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("daypass %s --help: %v", strings.Join(words, " "), err)
	}
	return string(out)
}

// sources returns the texts of the module's Go files that are not tests.
func sources(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || path == "tools" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			out[path] = readText(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestErrorCodes: each code that a message can end with is explained, and no
// other is.
func TestErrorCodes(t *testing.T) {
	code := regexp.MustCompile(`DP-[0-9]{3}`)
	used := map[string]string{}
	for path, text := range sources(t) {
		for _, c := range code.FindAllString(text, -1) {
			used[c] = path
		}
	}
	explained := sections(readText(t, "doc/errors.md"), "###")
	for c, path := range used {
		if explained[c] == "" {
			t.Errorf("%s is used in %s and has no entry in doc/errors.md", c, path)
		}
	}
	for c := range explained {
		if used[c] == "" {
			t.Errorf("doc/errors.md explains %s, which no code uses", c)
		}
	}
}

// TestConfigurationKeys: each key of config.yaml is described.
func TestConfigurationKeys(t *testing.T) {
	page := sections(readText(t, "doc/configuration.md"), "###")
	keys := regexp.MustCompile("yaml:\"([a-z_]+)\"").FindAllStringSubmatch(readText(t, "cmd/daypass/config.go"), -1)
	if len(keys) == 0 {
		t.Fatal("no keys found in cmd/daypass/config.go")
	}
	for _, m := range keys {
		if page["`"+m[1]+"`"] == "" {
			t.Errorf("doc/configuration.md has no section for the key %s", m[1])
		}
	}
}

// TestVariables: each environment variable of ours that the code reads is in
// the manual, or steers tests and is in CONTRIBUTING.md; those that lead tests to
// their peers are the Makefile's.
func TestVariables(t *testing.T) {
	manual := readText(t, "doc/manual.md") + readText(t, "CONTRIBUTING.md")
	name := regexp.MustCompile(`"((?:DAYPASS|GH_SCOPED_CREDS|GITHUB_APP)_[A-Z_]+[A-Z])"`)
	for path, text := range sources(t) {
		for _, m := range name.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(manual, "`"+m[1]+"`") && !strings.HasPrefix(m[1], "DAYPASS_TEST_") {
				t.Errorf("%s reads %s, which neither doc/manual.md nor CONTRIBUTING.md names", path, m[1])
			}
		}
	}
}

// TestDocumentLinks: what a page points to exists, its heading too.
func TestDocumentLinks(t *testing.T) {
	pages, err := filepath.Glob("doc/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("doc/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, more...), "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(readText(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(readText(t, target)), anchor) {
				t.Errorf("%s: %s has no heading for #%s", page, target, anchor)
			}
		}
	}
}

// anchors are the names that a page's headings get when it is shown.
func anchors(text string) []string {
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	var out []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// TestPullDifferences: each difference from nbgitpuller names a test or a story,
// and that exists.
func TestPullDifferences(t *testing.T) {
	_, table, ok := strings.Cut(readText(t, "doc/pull.md"), "## What is different, and which test holds it")
	if !ok {
		t.Fatal("doc/pull.md has no such section")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	tests := map[string]bool{}
	name := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, "_test.go"):
			for _, m := range name.FindAllStringSubmatch(readText(t, path), -1) {
				tests[m[1]] = true
			}
		case strings.HasSuffix(path, ".txtar"):
			tests[d.Name()] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	held := regexp.MustCompile("`(Test[A-Za-z0-9_]+|[a-z0-9-]+\\.txtar)`")
	rows := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| nbgitpuller |") {
			continue
		}
		rows++
		cells := strings.Split(line, "|")
		by := held.FindAllStringSubmatch(cells[len(cells)-2], -1)
		if len(by) == 0 {
			t.Errorf("no test holds: %s", line)
		}
		for _, m := range by {
			if !tests[m[1]] {
				t.Errorf("there is no test %s, which is to hold: %s", m[1], line)
			}
		}
	}
	if rows < 5 {
		t.Errorf("only %d differences were found", rows)
	}
}
