package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/snapshot"
)

// folder is what the broker asks whether the folder is there that a reading names: it is
// listed as for whoever browses it, so that the link's first pull finds it there.
func (r *readers) folder(ctx context.Context, c daypass.Caller, y broker.Reading) error {
	_, err := r.browse(ctx, c, y)
	if err = noFolder(y.Source, err); err == nil || codeOf(err) == codeNoFolder {
		return err
	}
	err = inTime(ctx, err)
	if p := (*daypass.Problem)(nil); errors.As(err, &p) && p.Code == "DP-760" {
		late := *p
		late.What = "the source can be read, but it was not seen in time whether it has the folder " + quoted(y.Source.Path)
		return &late
	}
	return err
}

// maxNamed is how many folders are named that are there in place of one that is not.
const maxNamed = 5

const codeNoFolder = "DP-752"

// noFolder tells somebody who may read all of a source which folder it does not have,
// and what it has instead.
func noFolder(s daypass.Source, err error) error {
	var no *daypass.NoFolder
	if !errors.As(err, &no) {
		return err
	}
	p := &daypass.Problem{Code: codeNoFolder, What: "the source can be read, but has no folder " + quoted(no.Name), Kind: daypass.ErrRefused, Err: err}
	at, whole := s, s
	if at.Path, whole.Path = no.In, ""; no.In != "" {
		p.What = "the source can be read, but its folder " + quoted(no.In) + " has no folder " + quoted(no.Name)
	}
	names := nearest(no.Name, no.There)
	if len(names) == 0 {
		p.Next = fmt.Sprintf("There is none that could be named: give %s as the source, which is all that there is.", at)
		return p
	}
	first := s
	first.Path = strings.TrimPrefix(no.In+"/"+names[0], "/")
	that := "the first of these"
	if len(no.There) == 1 {
		that = "that one"
	}
	p.Next = fmt.Sprintf("There is %s: give %s as the source for %s, or %s for all of it.", listed(names, len(no.There)), first, that, whole)
	return p
}

// nearest orders names by how near they are to one, without those that could not be
// written into a source or shown as they are.
func nearest(want string, names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return shown(n) != n || strings.TrimSpace(n) != n || len(n) > 200 || n == "" || n == "." || n == ".." || strings.ContainsAny(n, `/\`)
	})
	out := snapshot.Near(want, names)
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// listed names a few of so many.
func listed(names []string, all int) string {
	few := names[:min(len(names), maxNamed)]
	out := make([]string, len(few))
	for i, n := range few {
		out[i] = quoted(n)
	}
	switch more := all - len(few); {
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(out, ", "), more)
	case len(out) == 1:
		return out[0]
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}
