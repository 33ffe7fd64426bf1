// Package artifact reads what a run of GitHub Actions kept, by GitHub's REST interface
// (docs.github.com/rest/actions/artifacts). A source's ID is OWNER/NAME/NUMBER. GitHub
// says what there is to everybody, and gives the bytes to who is signed in only.
package artifact

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// Host is GitHub's; apiHost answers for it.
const (
	Host    = "github.com"
	apiHost = "api.github.com"
)

// Artifact reads GitHub. It is a [daypass.Contents].
type Artifact struct{ site *deposit.Site }

var _ daypass.Contents = (*Artifact)(nil)

// New returns a reader. Without a token an artifact is listed, and cannot be had.
func New(c deposit.Config) *Artifact { return &Artifact{deposit.New(c, traits(c))} }

func traits(c deposit.Config) deposit.Traits {
	if c.Plain {
		return deposit.Traits{}
	}
	return deposit.Traits{API: apiHost}
}

var number = pattern(`^[1-9][0-9]{0,19}$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// check also cuts the id.
func (a *Artifact) check(s daypass.Source) (owner, name, id string, err error) {
	parts := strings.Split(s.ID, "/")
	if s.Kind != daypass.KindArtifact || s.Host != a.site.Host || s.Ref != "" || len(parts) != 3 || !number().MatchString(parts[2]) {
		return "", "", "", a.site.Odd()
	}
	if _, ok := daypass.ParseRepo(parts[0] + "/" + parts[1]); !ok {
		return "", "", "", a.site.Odd()
	}
	return parts[0], parts[1], parts[2], nil
}

type info struct {
	ID      deposit.Text `json:"id"`
	Name    string       `json:"name"`
	Expired bool         `json:"expired"`
	Updated string       `json:"updated_at"`
	Digest  string       `json:"digest"`
	Run     struct {
		ID deposit.Text `json:"id"`
	} `json:"workflow_run"`
}

func (a *Artifact) info(ctx context.Context, s daypass.Source) (info, error) {
	owner, name, id, err := a.check(s)
	if err != nil {
		return info{}, err
	}
	var i info
	if err := a.site.JSON(ctx, a.site.URL("repos", owner, name, "actions", "artifacts", id), "application/vnd.github+json", &i); err != nil {
		return info{}, err
	}
	switch {
	case string(i.ID) != id:
		return info{}, a.site.Partial()
	case i.Expired:
		return info{}, a.site.Absent()
	}
	return i, nil
}

func (i info) mark() string { return fmt.Sprint(i.ID, " ", i.Updated, " ", i.Digest) }

// Look asks for the artifact.
func (a *Artifact) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	i, err := a.info(ctx, s)
	if err != nil {
		return daypass.Seen{}, err
	}
	return daypass.Seen{Source: s, Title: i.Name, Mark: i.mark(), Same: mark == i.mark(), Web: a.page(s, i)}, nil
}

func (a *Artifact) page(s daypass.Source, i info) string {
	owner, name, id, err := a.check(s)
	if err != nil || !number().MatchString(string(i.Run.ID)) {
		return ""
	}
	return a.site.Page(owner, name, "actions", "runs", string(i.Run.ID), "artifacts", id)
}

// A target is where the zip is.
type target string

// List fetches the zip and lists what is in it.
func (a *Artifact) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	i, err := a.info(ctx, s)
	if err != nil {
		return daypass.Listing{}, err
	}
	owner, name, id, _ := a.check(s)
	kind, value, _ := strings.Cut(i.Digest, ":")
	zip := daypass.Item{Parts: []string{i.Name + ".zip"}, ID: id, Size: -1, Sum: deposit.Sum(kind, value), Mark: i.mark(), Web: a.page(s, i)}
	zip.Data = target(a.site.URL("repos", owner, name, "actions", "artifacts", id, "zip"))
	l := daypass.Listing{Complete: true, Mark: i.mark(), Title: i.Name, Items: []daypass.Item{zip}}
	if a.site.Token == nil {
		l.Items[0].Skip = "GitHub gives artifacts only to who is signed in: name a token, or fetch it in a browser"
		l.Complete = false // what was delivered with a token stays
		return l, nil
	}
	limits := a.site.Archive
	limits.Keep = true
	if l, err = a.site.Unzipped(ctx, l, zip, limits, a.open); err != nil {
		return daypass.Listing{}, err
	}
	return a.site.Ordered(l, s.Path)
}

// Open reads a file of the zip.
func (a *Artifact) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if _, _, _, err := a.check(s); err != nil {
		return nil, err
	}
	return a.site.Open(ctx, it, from, a.open)
}

func (a *Artifact) open(ctx context.Context, it daypass.Item, from int64) (io.ReadCloser, error) {
	at, ok := it.Data.(target)
	if !ok || it.Skip != "" {
		return nil, a.site.Unavailable(it.Skip)
	}
	return a.site.Bytes(ctx, string(at), it, from)
}

// Exists says whether an artifact, OWNER/NAME/NUMBER, is there. [daypass.ErrNoSource]:
// it is not, it expired, or may not be seen; another error: it is not known.
func Exists(ctx context.Context, c deposit.Config, id string) error {
	_, err := New(c).Look(ctx, daypass.Source{Kind: daypass.KindArtifact, Host: c.Host, ID: id}, "")
	return err
}
