package pull

import (
	"os"
	"path/filepath"
	"strings"
)

// limit is the size from which random files are left out.
const limit = 4000

// git does what users do with git, with the folder, and with their configuration.
func (w *world) ownGit() {
	what := w.pick("pull", "ff", "old", "reset", "gc", "stash", "amend", "branch", "filter", "crlf", "sparse", "whole", "damage", "rename", "copy", "index", "readonly", "fetch")
	w.log = append(w.log, "user "+what)
	switch what {
	case "pull":
		if _, err := w.try("pull", "-q", "--no-rebase", "--no-edit", "origin", "main"); err != nil {
			w.try("merge", "--abort")
		}
	case "ff":
		w.try("pull", "-q", "--ff-only", "origin", "main")
	case "fetch":
		w.try("fetch", "-q", "origin")
	case "old":
		w.try("checkout", "-q", "HEAD~1")
	case "reset":
		w.try("reset", "-q", w.pick("--hard", "--soft", "--mixed"), w.pick("HEAD", "HEAD~1", "origin/main"))
	case "gc":
		w.try("gc", "-q", "--prune=now")
	case "stash":
		w.try("stash", "-q")
	case "amend":
		w.try("commit", "-q", "-a", "--amend", "-m", "amended")
	case "branch":
		w.try("checkout", "-q", "-B", w.pick("mine", "main"))
	case "filter":
		w.try("config", "filter.strip.clean", "sed /1/d")
		w.attributes("*.txt filter=strip")
	case "crlf":
		w.try("config", "core.autocrlf", "input")
		w.attributes("* text=auto")
	case "sparse":
		w.try("sparse-checkout", "set", "--cone", w.pick("d", "e"))
	case "whole":
		w.try("sparse-checkout", "disable")
	case "index":
		os.Remove(filepath.Join(w.folder, ".git/index"))
	case "readonly":
		os.Chmod(filepath.Join(w.folder, w.pick("a.txt", "d/a.txt", "nb.ipynb")), 0o444)
	case "damage":
		w.damage()
	default:
		w.elsewhere(what)
	}
}

func (w *world) attributes(line string) {
	if _, err := os.Stat(filepath.Join(w.folder, ".git/info")); err == nil {
		os.WriteFile(filepath.Join(w.folder, ".git/info/attributes"), []byte(line+"\n"), 0o666)
		w.try("add", "-A")
	}
}

// damage empties some loose objects, as a power cut does.
func (w *world) damage() {
	loose, _ := filepath.Glob(filepath.Join(w.folder, ".git/objects/??/*"))
	if !w.delivered {
		return
	}
	for _, file := range loose {
		w.hurt = true
		if w.IntN(4) == 0 {
			os.Remove(file) // a hard link's other name stays whole
			os.WriteFile(file, nil, 0o444)
		}
	}
}

// elsewhere goes on in a folder of another name.
func (w *world) elsewhere(what string) {
	to := filepath.Join(w.home, "lab-"+strings.ReplaceAll(w.new(), " ", "-"))
	if what == "rename" {
		if os.Rename(w.folder, to) == nil {
			w.folder = to
		}
		return
	}
	if _, err := os.Stat(filepath.Join(w.folder, ".git/index")); err == nil && os.CopyFS(to, os.DirFS(w.folder)) == nil {
		w.folder, w.delivered = to, false
	}
}
