package plumbing_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"path/filepath"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// TestEach: each blob is handed on once and whole, by whoever of two is ready. One that is missing, or no file, or that
// is not wanted, ends it.
func TestEach(t *testing.T) {
	up := gittest.At(t, filepath.Join(t.TempDir(), "up.git"), "sha1")
	files := gittest.Files{}
	for i := range 500 {
		files[fmt.Sprintf("f%03d", i)] = strings.Repeat(fmt.Sprintf("%d\n", i), 1+i*i%3000)
	}
	files["big"] = strings.Repeat("big\n", 1<<20)
	commit := up.Commit("main", "one", files)
	none := plumbing.OID(strings.Repeat("1", 40))
	for _, two := range []bool{false, true} {
		open := func(t *testing.T) (*plumbing.Objects, []plumbing.File, []plumbing.OID) {
			o, err := create(t, "sha1", filepath.Join(up.Dir, "objects")).Objects(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if two {
				o.Beside()
			}
			t.Cleanup(func() { o.Close() })
			c, err := o.Commit(plumbing.OID(commit))
			if err != nil {
				t.Fatal(err)
			}
			list, err := o.Files(c.Tree)
			if err != nil {
				t.Fatal(err)
			}
			var oids []plumbing.OID
			for _, f := range list {
				oids = append(oids, f.OID)
			}
			return o, list, oids
		}
		t.Run(fmt.Sprintf("all, two %t", two), func(t *testing.T) {
			o, list, oids := open(t)
			heads, err := o.Heads(append(oids, none))
			if err != nil || heads[len(oids)] != (plumbing.Head{}) {
				t.Fatal(err, heads[len(oids)])
			}
			got, count := make([]string, len(oids)), [2]int{}
			err = o.Each(oids, func(who, i int, c *plumbing.Content) error {
				count[who]++
				var b bytes.Buffer
				_, err := c.WriteTo(&b)
				got[i] += b.String()
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range list {
				if got[i] != files[f.Path] || heads[i] != (plumbing.Head{Kind: plumbing.BlobKind, Size: int64(len(files[f.Path]))}) {
					t.Errorf("%s: %d bytes, %v", f.Path, len(got[i]), heads[i])
				}
			}
			if count[0]+count[1] != len(oids) || !two && count[1] > 0 {
				t.Errorf("they did %v", count)
			}
		})
		ends := map[string]func(oids []plumbing.OID) (func(i int) error, error){
			"missing": func(oids []plumbing.OID) (func(int) error, error) { oids[333] = none; return nil, plumbing.ErrMissing },
			"no file": func(oids []plumbing.OID) (func(int) error, error) {
				oids[40] = plumbing.OID(commit)
				return nil, plumbing.ErrObject
			},
			"not wanted": func([]plumbing.OID) (func(int) error, error) {
				enough := errors.New("enough")
				return func(i int) error {
					if i == 77 {
						return enough
					}
					return nil
				}, enough
			},
		}
		for name, end := range ends {
			t.Run(fmt.Sprintf("%s, two %t", name, two), func(t *testing.T) {
				o, _, oids := open(t)
				f, want := end(oids)
				var mu sync.Mutex
				n := 0
				err := o.Each(oids, func(_, i int, _ *plumbing.Content) error {
					mu.Lock()
					n++
					mu.Unlock()
					if f != nil {
						return f(i)
					}
					return nil
				})
				if !errors.Is(err, want) || n >= len(oids) {
					t.Errorf("%v after %d", err, n)
				}
				if o.Each(oids[:1], func(int, int, *plumbing.Content) error { return nil }) == nil {
					t.Error("it goes on after what ended it")
				}
			})
		}
	}
}
