package doctor

import (
	"io/fs"
	"os"
	"path/filepath"
)

// modes looks at folders that only their owner may enter, and at programs that
// only their owner may change.
func (s *scan) modes() []Finding {
	var out []Finding
	if s.home != "" {
		out = append(out, s.folder(s.inHome(".ssh"), 0o022, "others can change what is in it")...)
	}
	if dir := s.Getenv("DAYPASS_RUNTIME_DIR"); filepath.IsAbs(dir) {
		out = append(out, s.folder(dir, 0o077, "others can enter the folder of the tokens")...)
	}
	for _, path := range []string{s.Binary, s.Helper} {
		if !filepath.IsAbs(path) {
			continue
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		for _, p := range []string{path, filepath.Dir(path)} {
			out = append(out, s.program(p)...)
		}
	}
	return dedupe(out)
}

func (s *scan) folder(path string, bits fs.FileMode, why string) []Finding {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	f := Finding{Code: "mode-wide", Level: Bad, Title: s.tilde(path) + ": " + why, Detail: "Its mode is " + fi.Mode().String() + "."}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0 && bits == 0o077:
		f.Code, f.Title, f.Fix = "mode-link", s.tilde(path)+" is a link, and is not used", "Set DAYPASS_RUNTIME_DIR to a folder of your own."
		return []Finding{f}
	case !fi.IsDir():
		return nil
	case !isOwn(fi):
		f.Title, f.Fix = s.tilde(path)+" belongs to another account", "Use a folder of your own."
		return []Finding{f}
	case fi.Mode().Perm()&bits == 0:
		return nil
	}
	f.Fix = "Run: chmod 700 " + s.tilde(path) + ", or daypass doctor --fix."
	return []Finding{f.fixed(narrow(path, fi, bits))}
}

// program: whoever can write it, or its folder, runs as you. A folder with the
// sticky bit lets nobody replace another's file.
func (s *scan) program(path string) []Finding {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	uid, known := owner(fi)
	f := Finding{Code: "program-writable", Level: Bad, Title: s.tilde(path) + " can be changed by others", Detail: "Its mode is " + fi.Mode().String() + ". Whoever changes it gets the tokens.",
		Fix: "Run: chmod go-w " + s.tilde(path) + ", or install daypass where only the administrator writes."}
	if known && uid != 0 && uid != os.Geteuid() {
		f.Title, f.Fix = s.tilde(path)+" belongs to another account", "Install daypass in a folder of your own, or ask the administrator to."
		return []Finding{f}
	}
	if fi.Mode().Perm()&0o022 == 0 || fi.IsDir() && fi.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	if isOwn(fi) {
		f = f.fixed(narrow(path, fi, 0o022))
	}
	return []Finding{f}
}

func dedupe(list []Finding) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, f := range list {
		if !seen[f.Code+f.Title] {
			seen[f.Code+f.Title] = true
			out = append(out, f)
		}
	}
	return out
}
