package main

import (
	"context"
	"slices"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/provider/archive"
	"github.com/daypass-dev/daypass/provider/ckan"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/figshare"
	"github.com/daypass-dev/daypass/provider/hydroshare"
	"github.com/daypass-dev/daypass/provider/invenio"
	"github.com/daypass-dev/daypass/provider/swh"
)

// deposits are the readers of public records, by kind.
func deposits() map[string]func(deposit.Config) daypass.Contents {
	return map[string]func(deposit.Config) daypass.Contents{
		daypass.KindInvenio:    func(c deposit.Config) daypass.Contents { return invenio.New(c) },
		daypass.KindFigshare:   func(c deposit.Config) daypass.Contents { return figshare.New(c) },
		daypass.KindDataverse:  func(c deposit.Config) daypass.Contents { return dataverse.New(c) },
		daypass.KindSWH:        func(c deposit.Config) daypass.Contents { return swh.New(c) },
		daypass.KindHydroShare: func(c deposit.Config) daypass.Contents { return hydroshare.New(c) },
		daypass.KindCKAN:       func(c deposit.Config) daypass.Contents { return ckan.New(c) },
	}
}

// openPublic makes a reader for each kind at each host that the admin lists, so that
// all who read there keep the site's pace together. They send no credential. A site may
// send to stores that are known, and to the other hosts of the list.
func (r *readers) openPublic(hosts []string) {
	listed := func(host string) bool { return slices.Contains(hosts, host) }
	for kind, open := range deposits() {
		sites := map[string]daypass.Contents{}
		for _, h := range hosts {
			sites[h] = open(deposit.Config{Host: h, Also: listed, Plain: r.plain(h), Dial: r.dialer.DialContext, Now: r.now, Archive: archive.Within(r.limits.Or().Total)})
		}
		r.kinds[kind] = func(_ context.Context, y broker.Reading) (daypass.Contents, error) {
			site, ok := sites[y.Source.Host]
			if !ok || y.As != broker.AsPublic {
				return nil, noReader(y)
			}
			return site, nil
		}
	}
}
