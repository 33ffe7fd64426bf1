// Package artifact reads what a run of GitHub Actions kept, by GitHub's REST interface
// (docs.github.com/rest/actions/artifacts). A source's ID is OWNER/NAME/NUMBER. GitHub
// says what there is to everybody, and gives the bytes to who is signed in only.
package artifact

import (
	"context"
	"errors"
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
	Size    int64        `json:"size_in_bytes"`
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
	if err := a.site.JSON(ctx, a.site.URL("repos", owner, name, "actions", "artifacts", id), "application/vnd.github+json", &i); errors.Is(err, daypass.ErrNoSource) {
		return info{}, absent(owner+"/"+name, s.ID)
	} else if err != nil {
		return info{}, err
	}
	switch {
	case string(i.ID) != id:
		return info{}, a.site.Partial()
	case i.Expired:
		return info{}, expired(owner+"/"+name, id)
	}
	return i, nil
}

func absent(repo, id string) error {
	return &daypass.Problem{
		Code: "DP-442", What: "GitHub shows no artifact " + id, Why: "it was deleted or never there, or only some may see it",
		Next: `Check the address. If the repository is private, run "daypass login --repo ` + repo + `" first.`, Kind: daypass.ErrRefused, Err: daypass.ErrNoSource,
	}
}

func expired(repo, id string) error {
	return &daypass.Problem{
		Code: "DP-443", What: "artifact " + id + " of " + repo + " has expired", Why: "GitHub keeps what a run made for some weeks only",
		Next: "Run the workflow again, and pull what it makes then.", Who: "Whoever may write to the repository can run it.", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource,
	}
}

// tooLarge is the error of one that is larger than most, where that is told.
func (a *Artifact) tooLarge(s daypass.Source, i info) error {
	most := deposit.MostOf(a.site.Archive)
	if i.Size <= most {
		return nil
	}
	owner, name, id, _ := a.check(s)
	return &daypass.Problem{
		Code: "DP-444", What: "artifact " + id + " of " + owner + "/" + name + " is too large", Why: fmt.Sprintf("it has %d MiB, and %d may be unpacked here", i.Size>>20, most>>20),
		Next: "Fetch it in a browser: " + a.page(s, i) + ".", Who: "Whoever writes the workflow can keep less, or several artifacts.", Kind: daypass.ErrRefused,
	}
}

func (a *Artifact) denied(s daypass.Source, i info) error {
	owner, name, id, _ := a.check(s)
	return &daypass.Problem{
		Code: "DP-445", What: "GitHub does not give artifact " + id + " of " + owner + "/" + name + " to this login", Why: "the login has ended there, or its App may not read Actions",
		Next: "Log in again; or fetch it in a browser: " + a.page(s, i) + ".", Who: `Whoever owns the App can add the permission "Actions: read", which is needed for nothing else.`, Kind: daypass.ErrRefused,
	}
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
	switch {
	case err != nil:
		return ""
	case !number().MatchString(string(i.Run.ID)):
		return a.site.Page(owner, name, "actions")
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
	if err := a.tooLarge(s, i); err != nil {
		return daypass.Listing{}, err
	}
	limits := a.site.Archive
	limits.Keep = true
	if l, err = a.site.Unzipped(ctx, l, zip, limits, a.open); errors.Is(err, deposit.ErrDenied) {
		return daypass.Listing{}, a.denied(s, i)
	} else if err != nil {
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
