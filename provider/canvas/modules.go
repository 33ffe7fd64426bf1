package canvas

import (
	"context"
	"errors"
	"net/url"

	"golang.org/x/sync/errgroup"

	"github.com/daypass-dev/daypass"
)

// A module is what students are shown in a course, in an order.
type module struct {
	ID    number        `json:"id"`
	Name  string        `json:"name"`
	Count int           `json:"items_count"`
	Items *[]moduleItem `json:"items"` // left out where there are many
}

type moduleItem struct {
	Type  string `json:"type"`
	File  number `json:"content_id"`
	Title string `json:"title"`
}

// A linked file is one that a module shows.
type linked struct {
	id, module, title string
}

// byModules lists what a course's modules link to, in a folder for each module. That is
// never said to be all: the course hides its files, and what was taken out of a module
// may be there still.
func (v *Canvas) byModules(ctx context.Context, p place, title string) (daypass.Listing, error) {
	q := many()
	q.Add("include[]", "items")
	q.Add("include[]", "content_details")
	modules, err := pages[module](ctx, v, p.context+"/modules", q)
	if err != nil {
		return daypass.Listing{}, err
	}
	todo, err := v.links(ctx, p, modules)
	if err != nil {
		return daypass.Listing{}, err
	}
	items := make([]daypass.Item, len(todo))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for n, l := range todo {
		group.Go(func() error {
			var err error
			items[n], err = v.linked(inner, p, l)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return daypass.Listing{}, err
	}
	sorted(items)
	return daypass.Listing{
		Title: title, Items: items, Notes: []string{"The course does not show its list of files. What came is what its modules link to; what is no longer there stays where it is."},
	}, nil
}

// links are the files of modules, each where it is first.
func (v *Canvas) links(ctx context.Context, p place, modules []module) ([]linked, error) {
	var out []linked
	seen := map[number]bool{}
	for _, m := range modules {
		if m.ID == "" {
			return nil, v.partial("it lists a module without an id")
		}
		if m.Items == nil || len(*m.Items) < m.Count {
			all, err := pages[moduleItem](ctx, v, p.context+"/modules/"+string(m.ID)+"/items", many())
			if errors.Is(err, daypass.ErrNoSource) {
				err = v.partial("a module was there, and then was not")
			}
			if err != nil {
				return nil, err
			}
			m.Items = &all
		}
		for _, i := range *m.Items {
			if i.Type != "File" || seen[i.File] {
				continue
			}
			if i.File == "" || len(out) >= v.MaxItems {
				return nil, v.partial("its modules list a file without an id, or too many")
			}
			seen[i.File] = true
			out = append(out, linked{string(i.File), m.Name, i.Title})
		}
	}
	return out, nil
}

// linked asks for one file. One that may not be seen is listed as what the module calls
// it: people see that there.
func (v *Canvas) linked(ctx context.Context, p place, l linked) (daypass.Item, error) {
	var f file
	_, err := v.read(ctx, v.address(p.context+"/files/"+url.PathEscape(l.id), nil), &f)
	switch {
	case errors.Is(err, daypass.ErrNoSource) || err == nil && f.Hidden:
		f = file{ID: number(l.id), Name: l.title, Locked: true}
	case err != nil:
		return daypass.Item{}, err
	case f.ID == "":
		return daypass.Item{}, v.partial("it answered for no file")
	}
	return v.item(p, f, []string{l.module}), nil
}
