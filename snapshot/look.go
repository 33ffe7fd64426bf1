package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// lookTimeout is how long a list of refs may take.
const lookTimeout = time.Minute

// Look asks where a ref of a source stands, in one git ls-remote: a branch, else a
// tag (the commit that it names), or a full ref such as refs/pull/7/head; "" and
// "HEAD" are what the source's HEAD names. A commit's whole id costs no request and
// is not checked. Problems: DP-310 to DP-316, DP-326.
func (g Git) Look(ctx context.Context, url, ref string) (Tip, error) {
	a, p := parseAddress(url, g.Git.Protocols)
	if p != nil {
		return Tip{}, p
	}
	if oid := plumbing.OID(strings.ToLower(ref)); oid.Valid() {
		return Tip{Name: string(oid), Commit: oid, Format: formatOf(oid)}, nil
	}
	if ref == "HEAD" {
		ref = ""
	}
	args, names := lookFor(ref)
	if args == nil {
		return Tip{}, noRef(a, ref, nil)
	}
	refs, err := g.list(ctx, a, args...)
	if err != nil {
		return Tip{}, err
	}
	for _, name := range names {
		if t, ok := refs.tip(name); ok {
			return t, nil
		}
	}
	return Tip{}, g.without(ctx, a, ref)
}

// without says why a ref is not there; only this costs a second request.
func (g Git) without(ctx context.Context, a address, ref string) error {
	refs, err := g.list(ctx, a, "--heads", "--tags")
	if err != nil {
		return err
	}
	if len(refs.order) == 0 {
		return &daypass.Problem{Code: "DP-326", What: shown(Redact(a.url)) + " is empty: nothing was ever pushed to it",
			Next: "Try again when there is something in it.", Who: "Whoever gave you the address can say when, or push to it."}
	}
	return noRef(a, ref, Near(ref, refs.names()))
}

// lookFor returns git's arguments and the refs to take, the first that there is. The
// names are patterns to git: what may not be a ref's name is never asked for.
func lookFor(ref string) (args, names []string) {
	switch {
	case ref == "":
		return []string{"--symref", "HEAD"}, []string{"HEAD"}
	case strings.HasPrefix(ref, "refs/"):
		names = []string{ref}
	default:
		names = []string{"refs/heads/" + ref, "refs/tags/" + ref}
		args = []string{"--heads", "--tags"}
	}
	for _, n := range names {
		if !plumbing.RefName(n) {
			return nil, nil
		}
		args = append(args, n, n+"^{}")
	}
	return args, names
}

// LookAll returns a source's branches and tags, and first its HEAD's branch, again
// under the name "HEAD".
func (g Git) LookAll(ctx context.Context, url string) ([]Tip, error) {
	a, p := parseAddress(url, g.Git.Protocols)
	if p != nil {
		return nil, p
	}
	refs, err := g.list(ctx, a, "--symref")
	if err != nil {
		return nil, err
	}
	var out []Tip
	if t, ok := refs.tip("HEAD"); ok {
		t.Name = "HEAD"
		out = append(out, t)
	}
	for _, name := range refs.order {
		if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			t, _ := refs.tip(name)
			out = append(out, t)
		}
	}
	return out, nil
}

// refs are what a source has.
type refs struct {
	at     map[string]plumbing.OID
	order  []string // without the peeled ones
	symref string   // what HEAD names
}

func (r refs) tip(name string) (Tip, bool) {
	oid, ok := r.at[name]
	if !ok {
		return Tip{}, false
	}
	t := Tip{Ref: name, Commit: oid, Format: formatOf(oid)}
	if peeled, ok := r.at[name+"^{}"]; ok {
		t.Commit = peeled
	}
	if name == "HEAD" {
		// Without a branch, as after a checkout of a commit, it is that commit.
		t.Ref = r.symref
	}
	t.Name = short(first(t.Ref, name))
	return t, true
}

func (r refs) names() []string {
	var out []string
	for _, name := range r.order {
		out = append(out, short(name))
	}
	return out
}

func short(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if rest, ok := strings.CutPrefix(ref, prefix); ok {
			return rest
		}
	}
	return ref
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func formatOf(oid plumbing.OID) string {
	if len(oid) == 64 {
		return "sha256"
	}
	return "sha1"
}

// list runs git ls-remote. args are options, then patterns.
func (g Git) list(ctx context.Context, a address, args ...string) (refs, error) {
	trust, done, err := g.trust(a)
	if err != nil {
		return refs{}, err
	}
	defer done()
	i := slices.IndexFunc(args, func(s string) bool { return s[0] != '-' })
	if i < 0 {
		i = len(args)
	}
	line := slices.Concat([]string{"ls-remote"}, args[:i], []string{"--", a.url}, args[i:])
	out, text, err := g.run(ctx, lookTimeout, func(ctx context.Context) *exec.Cmd {
		return trust.Git.Command(ctx, a.config(), line...)
	})
	if err != nil {
		return refs{}, problem(ctx, a, text, err)
	}
	return parseRefs(out), nil
}

func parseRefs(text string) refs {
	r := refs{at: map[string]plumbing.OID{}}
	for line := range strings.Lines(text) {
		oid, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if target, symref := strings.CutPrefix(oid, "ref: "); symref && name == "HEAD" {
			if plumbing.RefName(target) {
				r.symref = target
			}
			continue
		}
		bare := strings.TrimSuffix(name, "^{}")
		if !ok || !plumbing.OID(oid).Valid() || bare != "HEAD" && !plumbing.RefName(bare) {
			continue
		}
		r.at[name] = plumbing.OID(oid)
		if bare == name && name != "HEAD" {
			r.order = append(r.order, name)
		}
	}
	return r
}

// trust lets git read a repository on this machine that belongs to root, who needs no
// trick to harm anybody here. git asks the folder's owner before it serves one, and
// listens to no configuration but a file's. done takes that away if it is not to stay.
func (g Git) trust(a address) (trusted Git, done func(), err error) {
	switch a.scheme {
	case "http", "https":
		g.Git = g.Git.Homeless()
		return g, func() {}, nil
	case "file":
	default:
		return g, func() {}, nil
	}
	var folders []string
	for _, kv := range g.Git.Config {
		if strings.EqualFold(kv[0], "safe.directory") {
			folders = append(folders, kv[1])
		}
	}
	for _, suffix := range []string{"", "/.git", ".git"} {
		if path, err := filepath.EvalSymlinks(a.path + suffix); err == nil && roots(path) {
			folders = append(folders, path)
		}
	}
	if len(folders) == 0 {
		return g, func() {}, nil
	}
	var b strings.Builder
	b.WriteString("[safe]\n")
	for _, f := range folders {
		b.WriteString("\tdirectory = \"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(f) + "\"\n")
	}
	name, done, err := g.written(b.String())
	if err != nil {
		return g, nil, err
	}
	g.Git.Environ = append(slices.Clone(g.Git.Environ), "GIT_CONFIG_GLOBAL="+name)
	return g, done, nil
}

// written puts a text into a file that only its owner may write to.
func (g Git) written(text string) (name string, done func(), err error) {
	stays := ""
	if g.Own != "" {
		sum := sha256.Sum256([]byte(text))
		stays = filepath.Join(g.Own, "safe-"+hex.EncodeToString(sum[:12]))
		if have, err := os.ReadFile(stays); err == nil && string(have) == text {
			return stays, func() {}, nil
		}
		if err := os.MkdirAll(g.Own, 0o700); err != nil {
			return "", nil, err
		}
	}
	file, err := os.CreateTemp(g.Own, "daypass-safe-")
	if err != nil {
		return "", nil, err
	}
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Close())
	if err == nil && stays != "" {
		err = os.Rename(file.Name(), stays)
	}
	if err != nil {
		os.Remove(file.Name())
		return "", nil, err
	}
	if stays != "" {
		return stays, func() {}, nil
	}
	return file.Name(), func() { os.Remove(file.Name()) }, nil
}

// roots reports whether a folder and what git reads in it belong to root.
func roots(dir string) bool {
	for _, name := range []string{"", "config", "objects", "HEAD"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			if name == "" {
				return false
			}
			continue
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid != 0 || info.Mode()&os.ModeSymlink != 0 {
			return false
		}
	}
	return true
}

// Near returns the names most like one, the nearest first, at most five: for people, with
// what cannot be shown taken out.
func Near(want string, names []string) []string {
	type scored struct {
		name string
		d    int
	}
	var all []scored
	lower := strings.ToLower(want)
	for _, n := range names[:min(len(names), 2000)] {
		d := distance(lower, strings.ToLower(n))
		if strings.Contains(strings.ToLower(n), lower) || want == "" {
			d = min(d, 1)
		}
		all = append(all, scored{n, d})
	}
	slices.SortStableFunc(all, func(a, b scored) int { return a.d - b.d })
	var out []string
	for _, s := range all {
		if len(out) < 5 && (s.d <= 2+len(want)/4 || len(names) <= 5) {
			out = append(out, shown(s.name))
		}
	}
	return out
}

// distance is how many letters must change to make a of b.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := prev
			if a[i-1] != b[j-1] {
				cost++
			}
			prev, row[j] = row[j], min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
