package deposit

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/archive"
)

// Opener opens an item as the kind of site does.
type Opener func(ctx context.Context, it daypass.Item, from int64) (io.ReadCloser, error)

// Open reads an item: of an archive that was listed, else by the opener.
func (s *Site) Open(ctx context.Context, it daypass.Item, from int64, open Opener) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r, ok, err := archive.Open(it, from); ok {
		return r, err
	}
	return open(ctx, it, from)
}

// MostOf is how many bytes an archive may have to be looked into.
func MostOf(l archive.Limits) int64 {
	if l.Bytes <= 0 {
		return 2 << 30
	}
	return l.Bytes
}

// Unzipped lists what is in a zip in its place; open is how the zip is had. One that
// is too large to be looked into stays the item that it is, with a note: where its size
// is told before anything of it is read, else once so much has come.
func (s *Site) Unzipped(ctx context.Context, l daypass.Listing, zip daypass.Item, limits archive.Limits, open Opener) (daypass.Listing, error) {
	most := MostOf(limits)
	whole := l
	whole.Notes = append(slices.Clone(l.Notes), "The archive is too large to be looked into here.")
	if zip.Size > most {
		return whole, nil
	}
	r, err := open(ctx, zip, 0)
	if err != nil {
		return daypass.Listing{}, err
	}
	defer r.Close()
	f, size, err := archive.Spool(r, most)
	switch {
	case errors.Is(err, archive.ErrLarge):
		return whole, nil
	case err != nil:
		return daypass.Listing{}, err
	}
	// Whoever reads the files holds those that are wanted to the limits, before any is
	// unpacked: one that is too large for them does not keep the others away.
	limits.Total = 0
	if l.Items, err = archive.Zip(f, size, zip.Sum+zip.Mark, limits); err != nil {
		f.Close()
		return daypass.Listing{}, err
	}
	return l, nil
}

// Ordered puts a listing in order, and leaves of it what lies below a path. A path
// that nothing lies below is [daypass.ErrNoSource], with a [daypass.NoFolder].
func (s *Site) Ordered(l daypass.Listing, path string) (daypass.Listing, error) {
	if len(l.Items) > s.MaxItems {
		return daypass.Listing{}, s.Partial()
	}
	if path != "" {
		top := strings.Split(path, "/")
		var kept []daypass.Item
		for _, it := range l.Items {
			switch {
			case len(it.Parts) > len(top) && slices.Equal(it.Parts[:len(top)], top):
				it.Parts = it.Parts[len(top):]
				kept = append(kept, it)
			case slices.Equal(it.Parts, top):
				it.Parts = it.Parts[len(top)-1:]
				kept = append(kept, it)
			}
		}
		if len(kept) == 0 {
			return daypass.Listing{}, s.Without(daypass.MissingFolder(path, func(yield func([]string) bool) {
				for _, it := range l.Items {
					if !yield(it.Parts) {
						return
					}
				}
			}))
		}
		l.Items = kept
	}
	slices.SortStableFunc(l.Items, func(a, b daypass.Item) int {
		if c := slices.Compare(a.Parts, b.Parts); c != 0 {
			return c
		}
		return strings.Compare(a.ID+a.Sum+a.Mark, b.ID+b.Sum+b.Mark)
	})
	return l, nil
}

// Sum writes a checksum as [daypass.Item] has it; "" where it is of a kind that is
// not checked, or no checksum.
func Sum(kind, value string) string {
	kind, value = strings.ToLower(strings.ReplaceAll(kind, "-", "")), strings.ToLower(value)
	length := map[string]int{"md5": 32, "sha1": 40, "sha256": 64}[kind]
	if length == 0 || len(value) != length || strings.Trim(value, "0123456789abcdef") != "" {
		return ""
	}
	return kind + ":" + value
}
