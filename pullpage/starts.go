package pullpage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A starter is a name in the folder of a notebook that kernels run when they start,
// and so when the notebook is opened.
type starter struct {
	names  []string
	module bool // of Python's: NAME.py, NAME.pyc, NAME….so or a folder with __init__
	above  bool // also in the folders above, as far as content was brought
	source string
}

// starters is the list. Jupyter starts a kernel in the notebook's own folder.
var starters = []starter{
	{[]string{"ipykernel_launcher", "ipykernel"}, true, false,
		`ipykernel's kernel.json: "python -m ipykernel_launcher", before that "-m ipykernel", which Python looks for in the folder first (docs.python.org/3/using/cmdline.html, -m)`},
	{[]string{"_winapi", "collections", "contextlib", "copyreg", "enum", "fnmatch", "functools", "ipaddress", "keyword", "nt", "operator", "pathlib", "re", "reprlib", "storemagic", "types", "urllib"}, true, false,
		"what ipykernel 7.4 with IPython 9.18 on Python 3.11 looks for there until it is ready: TestWhatKernelsLookFor measures it"},
	{[]string{"abc", "errno", "glob", "importlib", "io", "ntpath", "pkgutil", "posixpath", "runpy", "sre_compile", "sre_constants", "sre_parse", "stat", "typing", "warnings", "weakref"}, true, false,
		"what runpy, pkgutil and pathlib import in other versions of Python from 3.8 on (their sources)"},
	{[]string{"ipython_config.py", "ipython_config.json", "ipython_kernel_config.py", "ipython_kernel_config.json", "profile_default"}, false, false,
		"IPython before 7.31.1 and 8.0.1 (CVE-2022-21699)"},
	{[]string{".Rprofile", ".RData", ".Renviron"}, false, false, "R's manual, ?Startup"},
	{[]string{"Project.toml", "JuliaProject.toml", "Manifest.toml", "JuliaManifest.toml"}, false, true,
		"IJulia's manual, Julia projects: the kernel starts with --project=@. and takes its packages, IJulia among them, by these; TOML files named for a version begin as Manifest-v"},
	{[]string{".octaverc", "startup.m"}, false, false, "Octave's and MATLAB's manuals, startup files"},
}

// kernelSuffix ends the names of most other kernels that Python starts by -m, such as
// bash_kernel.
const kernelSuffix = "_kernel"

// has reports whether a kernel that is started beside such an entry may run it.
func (s starter) has(name string, dir, above bool) bool {
	if above && !s.above {
		return false
	}
	name = daypass.FoldASCII(name) // some disks know no case
	is := func(n string) bool { return daypass.FoldASCII(n) == name }
	if !s.module {
		return slices.ContainsFunc(s.names, is) || s.above && strings.HasPrefix(name, "manifest-v") && strings.HasSuffix(name, ".toml")
	}
	stem, rest, _ := strings.Cut(name, ".")
	if !dir && rest != "py" && rest != "pyc" && rest != "pyw" && !strings.HasSuffix("."+rest, ".so") {
		return false
	}
	name = stem
	return (!dir || rest == "") && (slices.ContainsFunc(s.names, is) || strings.HasSuffix(stem, kernelSuffix))
}

// A beginning is what runs when the notebooks of a folder are opened.
type beginning struct {
	Dir   string   // of the notebooks, below the server's root
	Files []string // below the server's root; none: opening runs nothing
	Sum   string   // of their names and contents
}

// maxHashed bounds the files that are read to know whether they changed.
const maxHashed = 2000

// begins looks for what runs when a target is opened that is a notebook. Where the
// folder cannot be looked into that is taken to be so.
func (s *Server) begins(l Link, t Target) beginning {
	if !t.Kernel {
		return beginning{}
	}
	b := beginning{Dir: path.Dir(t.File)}
	root, err := os.OpenRoot(s.c.Root)
	if err != nil {
		b.Files = []string{b.Dir}
		return b
	}
	defer func() { _ = root.Close() }() // nothing was written
	sum := hasher{files: root.FS(), left: maxHashed, to: sha256.New()}
	for dir := b.Dir; ; dir = path.Dir(dir) {
		if err := b.look(&sum, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.Files = append(b.Files, dir)
			_, _ = fmt.Fprintf(sum.to, "%q %v\n", dir, err) // a hash takes everything
		}
		if dir == "." || dir == l.Folder || !strings.HasPrefix(dir, l.Folder+"/") {
			break
		}
	}
	b.Sum = hex.EncodeToString(sum.to.Sum(nil))
	return b
}

// look adds what a folder has.
func (b *beginning) look(sum *hasher, dir string) error {
	entries, err := fs.ReadDir(sum.files, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		link := e.Type()&fs.ModeSymlink != 0 // which may lead to a file or a folder, and elsewhere tomorrow
		as := func(dirToo bool) bool {
			return slices.ContainsFunc(starters, func(s starter) bool { return s.has(e.Name(), dirToo, dir != b.Dir) })
		}
		if !as(e.IsDir()) && !(link && as(true)) {
			continue
		}
		name := path.Join(dir, e.Name())
		if e.IsDir() && e.Name() != "profile_default" && !sum.isPackage(name) {
			continue
		}
		b.Files = append(b.Files, name)
		if err := sum.add(name); err != nil {
			return err
		}
	}
	return nil
}

// A hasher reads names and contents.
type hasher struct {
	files fs.FS
	left  int
	to    hash.Hash
}

// isPackage reports whether Python takes code from a folder of that name.
func (h *hasher) isPackage(dir string) bool {
	inside, err := fs.ReadDir(h.files, dir)
	return err != nil || slices.ContainsFunc(inside, func(e fs.DirEntry) bool { return strings.HasPrefix(daypass.FoldASCII(e.Name()), "__init__.") })
}

// add reads what lies at a name, all of a folder, and what links lead to.
func (h *hasher) add(name string) error {
	if h.left--; h.left < 0 {
		return errTooLarge
	}
	info, err := fs.Lstat(h.files, name)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(h.to, "%q %v\n", name, info.Mode().Type()) // a hash takes everything
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := fs.ReadLink(h.files, name)
		_, _ = fmt.Fprintf(h.to, "%q %v\n", target, err)
		if info, err = fs.Stat(h.files, name); err != nil {
			_, _ = fmt.Fprintln(h.to, err) // it leads nowhere, or out of the server's root
			return nil
		}
	}
	if info.IsDir() {
		return h.folder(name)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := h.files.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(h.to, f)
	return errors.Join(err, f.Close())
}

func (h *hasher) folder(name string) error {
	inside, err := fs.ReadDir(h.files, name)
	if err != nil {
		return err
	}
	for _, e := range inside {
		if err := h.add(path.Join(name, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// kernelKey is where the book has what was agreed to be run by the kernels of a folder.
func kernelKey(dir string) string { return "//kernel/" + dir }

// shown are the names for a question.
func (b beginning) shown() string {
	const most = 4
	names := b.Files[:min(len(b.Files), most)]
	if more := len(b.Files) - len(names); more > 0 {
		return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
