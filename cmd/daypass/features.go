package main

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/ckan"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/invenio"
	"github.com/daypass-dev/daypass/resolve"
)

// features asks the host of an address what kind of archive it is, where the shape of
// the address is one of theirs and the name tells nothing. ok is false where it is none;
// it may be a git host then.
func (t *trail) features(ctx context.Context, text string) (resolve.Sites, bool) {
	sites := t.a.sites(t.cfg)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && !(u.Scheme == "http" && daypass.Loopback(u.Host)) || u.User != nil || !cleanHost(u.Host) || allowedHost(t.cfg.pull, u.Host) != nil {
		return sites, false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if i := slices.Index(parts, "dataset"); i >= 0 && i+1 < len(parts) {
		if ok, err := ckan.Probe(ctx, t.a.site(u.Host, t.outward), strings.Join(parts[:i], "/")); ok && err == nil {
			sites.CKAN = append(sites.CKAN, u.Host)
			return sites, true
		}
	}
	if u.Query().Get("persistentId") != "" || slices.Contains(parts, "datafile") {
		if ok, err := dataverse.Probe(ctx, t.a.site(u.Host, t.outward), dataverseAt(text, u.Host)); ok && err == nil {
			sites.Dataverse = append(sites.Dataverse, u.Host)
			return sites, true
		}
	}
	if i := slices.Index(parts, "records"); i == 0 && len(parts) > 1 {
		if _, err := invenio.Find(ctx, t.a.site(u.Host, t.outward), parts[1]); err == nil {
			sites.Invenio = append(sites.Invenio, u.Host)
			return sites, true
		}
	}
	return sites, false
}

// dataverseAt is the path that a Dataverse would be installed below, where an address is
// one of it.
func dataverseAt(text, host string) string {
	list, err := resolve.Places(text, resolve.Sites{Dataverse: []string{host}})
	if err != nil || list[0].Source.Kind != daypass.KindDataverse {
		return ""
	}
	path, _ := dataverse.Split(list[0].Source.ID)
	return path
}

// unsure reports whether a reading is of the kind that fits every address.
func unsure(list []resolve.Place) bool {
	return list[0].Git != nil && !list[0].Certain && list[0].Git.Kind == "git" || list[0].Source.Kind == daypass.KindDataverse && !list[0].Certain
}
