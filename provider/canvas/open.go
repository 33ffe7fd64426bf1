package canvas

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// A target is what is opened for an item. By its address anybody gets the file.
type target struct {
	id  string
	url daypass.Secret
}

// Open reads a file from where the site sends it, which gets no token. Canvas offers no
// checksum and an old id leads to a newer file: so at the end the site is asked whether
// the file still is the one that was listed.
func (v *Canvas) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if _, err := v.check(s); err != nil {
		return nil, err
	}
	t, ok := it.Data.(target)
	switch {
	case it.Skip != "":
		return nil, one(it.Skip)
	case !ok || !numberPattern().MatchString(t.id) || !v.own(t.url.Reveal()):
		return nil, one("it is none that was listed")
	}
	leave, err := v.Pace.enter(ctx)
	if err != nil {
		return nil, err
	}
	res, err := v.get(ctx, v.files, t.url.Reveal(), func(r *http.Request) { readonly.SetRange(r, from) })
	if err != nil {
		leave()
		if errors.Is(err, daypass.ErrNoSource) {
			err = readonly.Changed(v.Host)
		}
		return nil, err
	}
	body, err := readonly.Content(v.Host, res, it, from)
	if err != nil {
		leave()
		return nil, err
	}
	return &reading{v: v, ctx: ctx, it: it, id: t.id, body: body, leave: leave}, nil
}

// A reading is a file that is looked at again when all of it came.
type reading struct {
	v     *Canvas
	ctx   context.Context
	it    daypass.Item
	id    string
	body  io.ReadCloser
	leave func()
	asked bool
	same  error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != io.EOF {
		return n, err
	}
	if !r.asked {
		// The turn is given back first: who asks needs one.
		r.body.Close()
		r.leave()
		r.asked, r.same = true, r.v.still(r.ctx, r.id, r.it.Mark)
	}
	if r.same != nil {
		return n, r.same
	}
	return n, io.EOF
}

func (r *reading) Close() error {
	defer r.leave()
	return r.body.Close()
}

// still asks whether a file is the one with this mark.
func (v *Canvas) still(ctx context.Context, id, mark string) error {
	var f file
	_, err := v.read(ctx, v.address("files/"+id, nil), &f)
	if errors.Is(err, daypass.ErrNoSource) || err == nil && f.mark() != mark {
		return readonly.Changed(v.Host)
	}
	return err
}
