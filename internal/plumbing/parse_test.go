package plumbing

import "testing"

func FuzzParseTree(f *testing.F) {
	f.Add([]byte("100644 a\x00aaaaaaaaaaaaaaaaaaaa40000 d\x00bbbbbbbbbbbbbbbbbbbb"), false)
	f.Add([]byte("160000 \x00"), true)
	f.Fuzz(func(t *testing.T, data []byte, long bool) {
		size := 20
		if long {
			size = 32
		}
		entries, err := parseTree(data, size)
		if err != nil {
			return
		}
		for _, e := range entries {
			if !e.OID.Valid() || len(e.OID) != 2*size {
				t.Errorf("%q", e.OID)
			}
		}
	})
}

func FuzzParseCommit(f *testing.F) {
	f.Add([]byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0100\n\nm"))
	f.Add([]byte("author A> <1 2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseCommit(data); err == nil && !c.Tree.Valid() {
			t.Errorf("%+v", c)
		}
	})
}
