package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/contenttest"
)

func (s *shelf) fails(code string, kind error) *daypass.Problem {
	s.t.Helper()
	_, err := s.try()
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != code || kind != nil && !errors.Is(err, kind) {
		s.t.Fatalf("it says %v, want %s", err, code)
	}
	return p
}

func TestContentTooLarge(t *testing.T) {
	s := newShelf(t)
	s.c.Limits = Limits{File: 10, Total: 20}
	s.f.Add("small", "0123456789")
	big := s.f.Add("d/big file.csv", strings.Repeat("b", 11))
	export := s.f.AddFile(contenttest.File{Parts: []string{"sheet.xlsx"}, Data: strings.Repeat("e", 12), NoSum: true})
	snap := s.fetch()
	got := s.texts(snap)
	if len(got) != 3 || got["small"] == "" || !strings.Contains(got["d/big file.csv.daypass-pointer"], "daypass pull --include 'd/big file.csv'\n") ||
		!strings.Contains(got["sheet.xlsx.daypass-pointer"], "larger than 10 bytes") || !strings.Contains(got["d/big file.csv.daypass-pointer"], "Sum:    md5:") {
		t.Errorf("%q", got)
	}
	if len(snap.Left) != 2 || !snap.Left[0].TooLarge || snap.Left[0].Path != "d/big file.csv" || snap.Left[0].As != "d/big file.csv.daypass-pointer" {
		t.Errorf("%+v", snap.Left)
	}
	s.opened("sheet.xlsx", "small")
	if again := s.fetch(); again.Commit != snap.Commit {
		t.Errorf("it flaps: %+v", again)
	}
	s.opened() // an export of which the size is known by now is not read again

	s.ask.Include = []string{"*.csv"}
	s.want(s.fetch(), map[string]string{"small": "0123456789", "d/big file.csv": strings.Repeat("b", 11), "sheet.xlsx.daypass-pointer": got["sheet.xlsx.daypass-pointer"]})
	s.opened("d/big file.csv")
	s.ask.Include = []string{"*"}
	if all := s.texts(s.fetch()); all["sheet.xlsx"] == "" || len(all) != 3 {
		t.Errorf("%q", all)
	}
	s.ask.Include = nil
	if none := s.fetch(); none.Commit != snap.Commit {
		t.Errorf("%q", s.texts(none))
	}

	s.f.Remove(big, export)
	s.f.Add("more", strings.Repeat("m", 10))
	s.fetch()
	s.f.Add("too", "x")
	s.fails("DP-461", daypass.ErrRefused)
	s.c.Limits = Limits{Files: 2}
	s.fails("DP-461", daypass.ErrRefused)
	s.c.Limits = Limits{Files: 9, Total: 30}
	s.f.AddFile(contenttest.File{Parts: []string{"endless"}, NoSum: true, Data: "1234567890"})
	s.fails("DP-461", nil)
}

// TestContentPointerClash: a pointer's own name may be taken, and too long.
func TestContentPointerClash(t *testing.T) {
	s := newShelf(t)
	s.c.Limits.File = 3
	long := strings.Repeat("l", 250)
	s.f.AddAs("idA", "a", "large")
	s.f.AddAs("idB", "a.daypass-pointer", "b")
	s.f.AddAs("idC", long, "large")
	s.f.AddAs("idD", "d", "large")
	s.f.AddAs("idE", "d.daypass-pointer/x", "x")
	got := slices.Sorted(maps.Keys(s.texts(s.fetch())))
	if len(got) != 5 || got[0] != "a (idA).daypass-pointer" || got[1] != "a.daypass-pointer" || got[2] != "d (idD).daypass-pointer" || len(got[4]) != MaxComponent {
		t.Errorf("%q", got)
	}
}

func TestContentIncluded(t *testing.T) {
	for _, row := range []struct {
		pattern, path string
		want          bool
	}{
		{"a.csv", "a.csv", true}, {"a.csv", "d/a.csv", true}, {"d", "d/a.csv", true}, {"d/*", "d/e/a.csv", true}, {"*.csv", "x/y/a.csv", true},
		{"*", "x/y", true}, {"./d/", "d/a", true}, {"a.csv", "a.csvx", false}, {"d/a", "e/d/a", false}, {"[", "[", false}, {`\[`, "[", true}, {"", "a", false}, {"..", "a", false},
	} {
		if got := Included([]string{row.pattern}, row.path); got != row.want {
			t.Errorf("%q includes %q: %v", row.pattern, row.path, got)
		}
	}
}

// TestContentVanished: what is gone goes where that is sure, and not with half of all.
func TestContentVanished(t *testing.T) {
	s := newShelf(t)
	ids := make([]string, 5)
	for i := range ids {
		ids[i] = s.f.Add(fmt.Sprint("f", i), fmt.Sprint(i))
	}
	s.fetch()
	s.f.Remove(ids[0], ids[1])
	if got := s.texts(s.fetch()); len(got) != 3 {
		t.Errorf("%q", got)
	}

	s.f.OnList = func(l *daypass.Listing) error { l.Items, l.Complete = l.Items[:1], false; return nil }
	half := s.fetch()
	if got := s.texts(half); len(got) != 3 || half.Mark != "" || len(half.Notes) != 1 {
		t.Errorf("%q %+v", got, half)
	}
	s.f.OnList = func(*daypass.Listing) error { return errors.New("the third page did not come") }
	if _, err := s.try(); err == nil || s.ask.Have != half.Commit {
		t.Errorf("half a listing: %v", err)
	}
	s.f.OnList = nil

	s.f.Remove(ids[2], ids[3])
	kept := s.fetch()
	if got := s.texts(kept); len(got) != 3 || kept.Mark != "" || len(kept.Notes) != 1 || !strings.HasPrefix(kept.Notes[0], "More than half") {
		t.Errorf("%q %+v", got, kept)
	}
	s.now = s.now.Add(20 * time.Hour)
	if again := s.fetch(); again.Commit != kept.Commit {
		t.Errorf("it moved: %+v", again)
	}
	s.f.AddAs(ids[2], "f2", "back")
	if got := s.texts(s.fetch()); got["f2"] != "back" || len(got) != 3 {
		t.Errorf("%q", got)
	}
	s.now = s.now.Add(5 * time.Hour)
	last := s.fetch()
	s.want(last, map[string]string{"f2": "back", "f4": "4"})
	if last.Mark == "" || len(last.Notes) != 0 {
		t.Errorf("%+v", last)
	}
}

// TestContentChanges: a source that changes while it is read is listed once more.
func TestContentChanges(t *testing.T) {
	s := newShelf(t)
	a := s.f.Add("a", "one")
	s.f.Add("b", "b")
	var n atomic.Int32
	edit := func(it daypass.Item, _ int64) (io.ReadCloser, error) {
		if it.ID == a && n.Add(1) == 1 {
			s.f.Edit(a, "two")
		}
		return nil, nil
	}
	s.f.OnOpen = edit
	s.want(s.fetch(), map[string]string{"a": "two", "b": "b"})
	if _, lists, _ := s.f.Counts(); lists != 2 {
		t.Errorf("%d listings", lists)
	}
	have := s.ask.Have
	s.f.Edit(a, "three")
	s.f.OnOpen = func(it daypass.Item, _ int64) (io.ReadCloser, error) {
		s.f.Edit(a, fmt.Sprint("edit ", n.Add(1)))
		return nil, nil
	}
	p := s.fails("DP-463", daypass.ErrChanged)
	if s.ask.Have != have || !errors.Is(p, daypass.ErrUnreachable) {
		t.Error("something came")
	}

	s.f.OnOpen = nil
	gone := s.f.Add("gone", "x")
	s.f.OnOpen = func(it daypass.Item, _ int64) (io.ReadCloser, error) {
		if it.ID == gone {
			s.f.Remove(gone)
		}
		return nil, nil
	}
	if got := s.texts(s.fetch()); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestContentLies: bytes that are not what the listing says are not delivered.
func TestContentLies(t *testing.T) {
	for name, row := range map[string]struct {
		code string
		data string
	}{
		"another content": {"DP-462", "evil"},
		"longer":          {"DP-463", "goods"},
		"shorter":         {"DP-463", "goo"},
		"endless":         {"DP-463", strings.Repeat("x", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			s.f.Add("a", "good")
			s.f.OnOpen = func(daypass.Item, int64) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(row.data)), nil
			}
			s.fails(row.code, daypass.ErrChanged)
			s.f.OnOpen = nil
			s.want(s.fetch(), map[string]string{"a": "good"})
		})
	}
	s := newShelf(t)
	s.f.Add("a", "good")
	s.f.OnList = func(l *daypass.Listing) error { l.Items[0].Sum = "crc7:00"; return nil }
	if _, err := s.try(); err == nil {
		t.Error("a sum that nobody knows was believed")
	}
}

// breaking gives so many bytes and then no more.
type breaking struct {
	io.Reader
	err error
}

func (b *breaking) Close() error { return nil }
func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.err
	}
	return n, err
}

// TestContentResumes: what has come is not read again, by the same fetch nor by the next.
func TestContentResumes(t *testing.T) {
	for _, sum := range []bool{true, false} {
		s := newShelf(t)
		data := strings.Repeat("0123456789", 100_000)
		s.f.Add("small", "s")
		id := s.f.Add("large", data)
		if !sum {
			s.f.OnList = func(l *daypass.Listing) error {
				for i := range l.Items {
					l.Items[i].Sum = ""
				}
				return nil
			}
		}
		var froms []int64
		s.f.OnOpen = func(it daypass.Item, from int64) (io.ReadCloser, error) {
			if it.ID != id {
				return nil, nil
			}
			time.Sleep(20 * time.Millisecond) // the other one is through
			froms = append(froms, from)
			end := min(from+100_000, int64(len(data)))
			return &breaking{strings.NewReader(data[from:end]), io.ErrUnexpectedEOF}, nil
		}
		if _, err := s.try(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("it says %v", err)
		}
		if want := []int64{0, 100_000, 200_000, 300_000}; !slices.Equal(froms, want) {
			t.Errorf("read from %d", froms)
		}
		s.f.Counts()
		s.f.OnOpen = func(it daypass.Item, from int64) (io.ReadCloser, error) { froms = append(froms, from); return nil, nil }
		s.want(s.fetch(), map[string]string{"small": "s", "large": data})
		if froms[len(froms)-1] != 400_000 {
			t.Errorf("read from %d", froms)
		}
		s.opened("large")
		if _, err := os.Lstat(s.repo.Dir() + "/daypass-partial-content"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("partial files stay: %v", err)
		}
	}
}

// TestContentPartialDamaged: what lies about is not believed.
func TestContentPartialDamaged(t *testing.T) {
	s := newShelf(t)
	data := strings.Repeat("0123456789", 10_000)
	s.f.Add("large", data)
	s.f.OnOpen = func(it daypass.Item, from int64) (io.ReadCloser, error) {
		return &breaking{strings.NewReader(data[from:min(from+10, 50_000)]), io.ErrUnexpectedEOF}, nil
	}
	s.try()
	s.f.OnOpen = nil
	dir := s.repo.Dir() + "/daypass-partial-content/"
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatal(err, entries)
	}
	os.WriteFile(dir+entries[0].Name(), make([]byte, 40_000), 0o600)
	s.want(s.fetch(), map[string]string{"large": data})
}

// TestContentExports: what is another at each export is no change.
func TestContentExports(t *testing.T) {
	s := newShelf(t)
	id := s.f.AddFile(contenttest.File{Parts: []string{"doc.docx"}, Data: "v", NoSum: true})
	n := 0
	s.f.OnOpen = func(daypass.Item, int64) (io.ReadCloser, error) {
		n++
		return io.NopCloser(strings.NewReader(fmt.Sprint("export ", n))), nil
	}
	one := s.fetch()
	s.f.Move(id, "other.docx")
	s.f.Add("b", "b")
	s.f.OnOpen = nil
	s.want(s.fetch(), map[string]string{"other.docx": "export 1", "b": "b"})
	s.f.Touch(id)
	s.want(s.fetch(), map[string]string{"other.docx": "v", "b": "b"})
	if one.Files[0].Path != "doc.docx" {
		t.Error(one.Files)
	}
}

// TestContentRefusedFile: a file that may not be had is left out; the one that was
// delivered stays.
func TestContentRefusedFile(t *testing.T) {
	s := newShelf(t)
	a := s.f.Add("a", "a1")
	s.f.Add("b", "b")
	no := &daypass.Problem{Code: "DP-999", What: "This file may not be downloaded", Kind: daypass.ErrRefused}
	s.f.OnOpen = func(it daypass.Item, _ int64) (io.ReadCloser, error) {
		if it.ID == a {
			return nil, no
		}
		return nil, nil
	}
	one := s.fetch()
	s.want(one, map[string]string{"b": "b"})
	if len(one.Left) != 1 || one.Left[0].Path != "a" || one.Left[0].Why != "This file may not be downloaded" {
		t.Errorf("%+v", one.Left)
	}
	s.f.OnOpen = nil
	s.f.Touch(a)
	s.want(s.fetch(), map[string]string{"a": "a1", "b": "b"})
	s.f.Set(a, func(f *contenttest.File) { f.Skip, f.Parts = "it is locked", []string{"c"} })
	locked := s.fetch()
	s.want(locked, map[string]string{"c": "a1", "b": "b"})
	if len(locked.Left) != 1 || locked.Left[0].Why != "it is locked" || locked.Renames["a"] != "c" {
		t.Errorf("%+v", locked)
	}

	all := newShelf(t)
	all.f.Add("a", "a")
	all.f.OnOpen = func(daypass.Item, int64) (io.ReadCloser, error) { return nil, no }
	all.fails("DP-999", daypass.ErrRefused)
}

// TestContentStops: who cancels, or waits for too long, has nothing half.
func TestContentStops(t *testing.T) {
	s := newShelf(t)
	s.f.Add("a", "a")
	r, _ := io.Pipe()
	s.f.OnOpen = func(daypass.Item, int64) (io.ReadCloser, error) { return r, nil }
	s.c.Idle = 50 * time.Millisecond
	r.CloseWithError(nil)
	hang := func(ctx context.Context) { <-ctx.Done() }
	s.c.Contents = hanging{s.f, hang}
	s.fails("DP-464", daypass.ErrUnreachable)
	s.c.Idle, s.c.Timeout = 0, 50*time.Millisecond
	s.fails("DP-464", nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	s.c.Timeout = 0
	if _, err := s.c.Fetch(ctx, s.repo, s.ask); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	s.c.Contents = s.f
	s.f.OnOpen = func(daypass.Item, int64) (io.ReadCloser, error) { return nil, fmt.Errorf("x: %w", syscall.ENOSPC) }
	s.fails("DP-327", nil)
}

// A hanging source opens files of which nothing comes.
type hanging struct {
	*contenttest.Folder
	hang func(context.Context)
}

func (h hanging) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	return &hung{ctx, h.hang}, nil
}

type hung struct {
	ctx  context.Context
	hang func(context.Context)
}

func (h *hung) Close() error             { return nil }
func (h *hung) Read([]byte) (int, error) { h.hang(h.ctx); return 0, h.ctx.Err() }

// TestContentDamagedHave: where what was delivered last is damaged, all comes anew.
func TestContentDamagedHave(t *testing.T) {
	s := newShelf(t)
	s.f.Add("a", "a")
	one := s.fetch()
	s.ask.Have = one.Files[0].OID // no commit
	s.f.Counts()
	if two := s.fetch(); two.Commit != one.Commit {
		t.Errorf("%+v", two)
	}
	s.opened("a")
}

// TestContentMany: 1,000 files at four a time, each once.
func TestContentMany(t *testing.T) {
	s := newShelf(t)
	for i := range 1000 {
		s.f.Add(fmt.Sprintf("d%d/f%d", i%10, i), fmt.Sprint(i))
	}
	var now, most atomic.Int32
	s.c.Contents = counting{s.f, &now, &most}
	var last Progress
	s.ask.Progress = func(p Progress) { last = p }
	if snap := s.fetch(); len(snap.Files) != 1000 {
		t.Errorf("%d files", len(snap.Files))
	}
	if most.Load() > downloads || last.Done != 1000 || last.Total != 1000 || last.Bytes != 2890 {
		t.Errorf("%d at once, %+v", most.Load(), last)
	}
}

type counting struct {
	*contenttest.Folder
	now, most *atomic.Int32
}

func (c counting) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for m := c.most.Load(); n > m && !c.most.CompareAndSwap(m, n); m = c.most.Load() {
	}
	time.Sleep(100 * time.Microsecond)
	r, err := c.Folder.Open(ctx, s, it, from)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(data)), err
}

// TestContentVanishedLarge: what is only a pointer counts among what is still there.
func TestContentVanishedLarge(t *testing.T) {
	s := newShelf(t)
	s.c.Limits.File = 3
	small := s.f.Add("small", "s")
	s.f.Add("large", "large")
	s.fetch()
	s.f.Remove(small)
	if snap := s.fetch(); len(snap.Files) != 1 || len(snap.Notes) != 0 {
		t.Errorf("%+v", snap)
	}
}

// TestContentMost: who asks for large files by their names has a limit, too, where
// others pay for it.
func TestContentMost(t *testing.T) {
	s := newShelf(t)
	s.c.Limits, s.c.Most = Limits{File: 5, Total: 10}, 30
	s.f.Add("small", "12345")
	s.f.Add("large", strings.Repeat("l", 20))
	s.ask.Include = []string{"*"}
	s.fetch()
	s.f.AddFile(contenttest.File{Parts: []string{"export"}, Data: "123456", NoSum: true})
	s.fails("DP-461", daypass.ErrRefused)
	s.f.Add("more", "12345678")
	s.f.Counts()
	s.fails("DP-461", daypass.ErrRefused)
	s.opened()
}
