package main

import (
	"context"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/invenio"
)

// deposits are the readers of public records, by kind.
func deposits() map[string]func(deposit.Config) daypass.Contents {
	return map[string]func(deposit.Config) daypass.Contents{
		daypass.KindInvenio: func(c deposit.Config) daypass.Contents { return invenio.New(c) },
	}
}

// openPublic makes a reader for each kind at each host that the admin lists, so that
// all who read there keep the site's pace together. They send no credential.
func (r *readers) openPublic(hosts []string) {
	for kind, open := range deposits() {
		sites := map[string]daypass.Contents{}
		for _, h := range hosts {
			sites[h] = open(deposit.Config{Host: h, Plain: r.plain(h), Dial: r.dialer.DialContext, Now: r.now})
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
