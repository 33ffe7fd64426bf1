package drive

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// Open reads a file's bytes, or what Google makes of a document. The second cannot be
// gone on with: it is made anew, with other bytes, each time.
func (d *Drive) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if err := check(s); err != nil {
		return nil, err
	}
	t, ok := it.Data.(target)
	if it.Skip != "" || !ok || !idPattern().MatchString(t.id) {
		return nil, one(skipped(it), "Ask its owner for a copy in the folder.")
	}
	keys := map[string]string{t.id: t.key, s.ID: s.Ref}
	if t.export != "" {
		if from > 0 {
			return nil, readonly.Changed(d.host)
		}
		res, err := d.ask(ctx, "files/"+t.id+"/export", url.Values{"mimeType": {t.export}}, keys, nil)
		if err != nil {
			return nil, err
		}
		return readonly.Content(d.host, res, it, 0)
	}
	res, err := d.ask(ctx, "files/"+t.id, url.Values{"alt": {"media"}}, keys, func(req *http.Request) { readonly.SetRange(req, from) })
	if err != nil {
		return nil, err
	}
	return readonly.Content(d.host, res, it, from)
}

func skipped(it daypass.Item) string {
	if it.Skip == "" {
		return "it is none that was listed"
	}
	return strings.TrimSuffix(it.Skip, ".")
}
