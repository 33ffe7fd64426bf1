package snapshot

import (
	"context"
	"errors"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

var errUnwritten = errors.New("this is not written yet")

// Look asks where a ref of a source stands, in one git ls-remote: a branch, a tag
// (what it names), a full ref; "" is what HEAD names. A commit's id costs no request.
func (g Git) Look(ctx context.Context, url, ref string) (Tip, error) { return Tip{}, errUnwritten }

// LookAll returns all branches, tags and HEAD of a source.
func (g Git) LookAll(ctx context.Context, url string) ([]Tip, error) { return nil, errUnwritten }

// Fetch brings what Tip names into repo.
func (g Git) Fetch(ctx context.Context, repo *plumbing.Repo, a Ask) (Snapshot, error) {
	return Snapshot{}, errUnwritten
}

// Redact takes what may be secret out of a URL, for people's eyes and for files.
func Redact(url string) string { return "" }

// Name says under which name a path of a source may be delivered: itself, an escaped
// or shortened one, or none, and why.
func Name(path string) (clean, why string, ok bool) { return "", "unwritten", false }
