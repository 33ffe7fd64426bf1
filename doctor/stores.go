package doctor

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
)

const maxSecretFile = 64 << 10

var (
	scopedName = pattern(`^tmp[a-z0-9_]{8}$`) // Python's tempfile
	scopedText = pattern(`^https://x-access-token:[^@\s]*@[A-Za-z0-9.:-]+\n?$`)
)

// stores finds the files in which git-credential-store and the programs before
// daypass keep tokens in plain text: github-app-user-auth used
// /tmp/github-app-git-credentials, gh-scoped-creds leaves one file in the
// temporary folder for every login.
func (s *scan) stores() []Finding {
	var out []Finding
	inUse, named := s.namedStores()
	old := []string{filepath.Join(s.Tmp, "github-app-git-credentials")}
	dirs := []string{s.Tmp}
	if d := s.Getenv("TMPDIR"); filepath.IsAbs(d) && filepath.Clean(d) != filepath.Clean(s.Tmp) {
		dirs = append(dirs, d)
	}
	for _, dir := range dirs {
		old = append(old, leftovers(dir)...)
	}
	for _, path := range named {
		if scopedName().MatchString(filepath.Base(path)) {
			old = append(old, path)
		}
	}
	slices.Sort(old)
	for _, path := range slices.Compact(old) {
		file, ok := open(path, maxSecretFile)
		if !ok {
			continue
		}
		out = append(out, s.oldStore(file, slices.Contains(inUse, path)))
	}
	own := []string{}
	if s.home != "" {
		own = append(own, s.inHome(".git-credentials"), filepath.Join(s.configHome(), "git", "credentials"))
	}
	for _, path := range named {
		if !slices.Contains(old, path) {
			own = append(own, path)
		}
	}
	slices.Sort(own)
	for _, path := range slices.Compact(own) {
		if file, ok := open(path, maxSecretFile); ok {
			out = append(out, s.plainStore(file)...)
		}
	}
	return out
}

// namedStores returns the files that helpers of kind "store" name, and those of
// them that git still asks.
func (s *scan) namedStores() (inUse, named []string) {
	for _, e := range s.entries {
		if !strings.HasPrefix(e.Key, "credential.") || !strings.HasSuffix(e.Key, "helper") {
			continue
		}
		h := gitconf.ParseHelper(e)
		path := h.StoreFile()
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			path = s.inHome(rest)
		}
		if !filepath.IsAbs(path) {
			continue
		}
		named = append(named, path)
		if !s.silenced(e) {
			inUse = append(inUse, path)
		}
	}
	return inUse, named
}

// silenced reports whether an empty entry of the same section, or of one of the
// hosts, is read after e.
func (s *scan) silenced(e gitconf.Entry) bool {
	after := false
	for _, o := range s.entries {
		if o == e {
			after = true
			continue
		}
		if !after || o.Reveal() != "" || !strings.HasPrefix(o.Key, "credential.") || !strings.HasSuffix(o.Key, "helper") {
			continue
		}
		if o.Key == e.Key || slices.Contains(s.Origins, o.Subsection()) || o.Subsection() == "" {
			return true
		}
	}
	return false
}

// leftovers lists files of a temporary folder that are named as
// gh-scoped-creds' are and hold what its do.
func leftovers(dir string) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(20000)
	var out []string
	for _, name := range names {
		if !scopedName().MatchString(name) {
			continue
		}
		path := filepath.Join(dir, name)
		if file, ok := open(path, 4<<10); ok && scopedText().Match(file.text) {
			out = append(out, path)
		}
	}
	return out
}

func (s *scan) oldStore(file secretFile, inUse bool) Finding {
	secrets := gitconf.Secrets(string(file.text))
	f := Finding{Code: "store-old", Level: Warn, Title: "an old token file: " + s.tilde(file.path), Fix: "Delete it: daypass doctor --fix."}
	if len(secrets) > 0 {
		f.Detail = "It holds " + hints(secrets) + "."
		f.Fix += " " + revoke(secrets[0], "")
	}
	if file.info.Mode().Perm()&0o077 != 0 {
		f.Level = Bad
		f.Detail = strings.TrimSpace(f.Detail + " Others can open it.")
	}
	if inUse {
		f.Code, f.Title, f.Fix = "store-used", "a token file that git still asks: "+s.tilde(file.path), "Run: daypass setup; then delete the file."
		return f
	}
	return f.fixed(remove(file))
}

// plainStore reports a file of git-credential-store. It may hold passwords of
// any host, so it is the person's to delete.
func (s *scan) plainStore(file secretFile) []Finding {
	var out []Finding
	lines := bufio.NewScanner(bytes.NewReader(file.text))
	lines.Buffer(nil, maxSecretFile)
	n := 0
	for lines.Scan() {
		for _, secret := range gitconf.Secrets(lines.Text()) {
			n++
			if n <= 20 {
				h := host(lines.Text())
				out = append(out, Finding{Code: "store-plain", Level: Warn, Title: s.tilde(file.path) + " holds " + secret.Hint() + " for " + h,
					Fix: "Remove that line if you no longer need it. " + revoke(secret, h)})
			}
		}
	}
	return append(out, s.wide(file)...)
}

// wide reports a secret file that others can open.
func (s *scan) wide(file secretFile) []Finding {
	if file.info.Mode().Perm()&0o077 == 0 || len(bytes.TrimSpace(file.text)) == 0 {
		return nil
	}
	return []Finding{Finding{Code: "mode-wide", Level: Bad, Title: s.tilde(file.path) + " holds secrets and others can open it",
		Detail: "Its mode is " + file.info.Mode().Perm().String() + ".", Fix: "Run: chmod 600 on it, or daypass doctor --fix."}.
		fixed(narrow(file.path, file.info, 0o077))}
}

// netrc reads the file that curl, and so git, takes passwords from
// (the .netrc of ftp(1)).
func (s *scan) netrc() []Finding {
	if s.home == "" {
		return nil
	}
	var out []Finding
	for _, name := range []string{".netrc", "_netrc"} {
		file, ok := open(s.inHome(name), maxSecretFile)
		if !ok {
			continue
		}
		machine := "any host"
		words := strings.Fields(string(file.text))
		for i := 0; i+1 < len(words); i++ {
			switch words[i] {
			case "machine":
				i++
				machine = gitconf.Show(words[i])
			case "default":
				machine = "any host"
			case "login", "account":
				i++
			case "password":
				i++
				secret := daypass.NewSecret(words[i])
				out = append(out, Finding{Code: "netrc", Level: Warn, Title: "~/" + name + " holds " + secret.Hint() + " for " + machine,
					Detail: "git uses it there without asking a helper.",
					Fix:    "Remove that entry if you no longer need it. " + revoke(secret, machine)})
			}
		}
		out = append(out, s.wide(file)...)
	}
	return out
}

// ghHosts reads where gh keeps its token when there is no keyring.
func (s *scan) ghHosts() []Finding {
	if s.home == "" {
		return nil
	}
	dir := filepath.Join(s.configHome(), "gh")
	if d := s.Getenv("GH_CONFIG_DIR"); filepath.IsAbs(d) {
		dir = d
	}
	file, ok := open(filepath.Join(dir, "hosts.yml"), maxSecretFile)
	if !ok {
		return nil
	}
	var out []Finding
	var seen []daypass.Secret
	at := "github.com"
	for line := range strings.SplitSeq(string(file.text), "\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		if key == strings.TrimLeft(key, " \t") && strings.TrimSpace(value) == "" {
			at = gitconf.Show(strings.Trim(key, `"' `))
		}
		secret := newSecret(strings.Trim(strings.TrimSpace(value), `"'`))
		if strings.TrimSpace(key) != "oauth_token" || secret.IsZero() || slices.ContainsFunc(seen, secret.Equal) {
			continue
		}
		seen = append(seen, secret)
		out = append(out, Finding{Code: "gh-token", Level: Warn, Title: s.tilde(file.path) + " holds " + secret.Hint() + " for " + at,
			Detail: "gh's token reaches all that you reach there, and does not end.", Fix: "Run: gh auth logout --hostname " + at + ". " + revoke(secret, at)})
	}
	return append(out, s.wide(file)...)
}
