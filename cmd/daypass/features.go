package main

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/resolve"
)

// features asks the host of an address what kind of archive it is, where the shape of
// the address is one of theirs and the name tells nothing. ok is false where it is none;
// it may be a git host then.
func (t *trail) features(ctx context.Context, text string) (resolve.Sites, bool) {
	sites := t.cfg.sources.sites()
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && !(u.Scheme == "http" && daypass.Loopback(u.Host)) || u.User != nil || !cleanHost(u.Host) || allowedHost(t.cfg.pull, u.Host) != nil {
		return sites, false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	site := deposit.New(t.a.site(u.Host, t.outward), deposit.Traits{})
	says := func(v any, path ...string) bool {
		body, found, err := site.Probe(ctx, site.URL(path...))
		return err == nil && found && json.Unmarshal(body, v) == nil
	}
	if i := slices.Index(parts, "dataset"); i >= 0 && i+1 < len(parts) {
		var ckan struct {
			Result struct {
				Version string `json:"ckan_version"`
			} `json:"result"`
		}
		if says(&ckan, append(slices.Clone(parts[:i]), "api", "3", "action", "status_show")...) && ckan.Result.Version != "" {
			sites.CKAN = append(sites.CKAN, u.Host)
			return sites, true
		}
	}
	if u.Query().Get("persistentId") != "" || slices.Contains(parts, "datafile") {
		var dataverse struct {
			Status string `json:"status"`
			Data   struct {
				Version string `json:"version"`
			} `json:"data"`
		}
		if says(&dataverse, "api", "info", "version") && dataverse.Status == "OK" && dataverse.Data.Version != "" {
			sites.Dataverse = append(sites.Dataverse, u.Host)
			return sites, true
		}
	}
	if i := slices.Index(parts, "records"); i == 0 && len(parts) > 1 {
		var invenio struct {
			Parent *struct{} `json:"parent"`
		}
		if says(&invenio, "api", "records", parts[1]) && invenio.Parent != nil {
			sites.Invenio = append(sites.Invenio, u.Host)
			return sites, true
		}
	}
	return sites, false
}

// unsure reports whether a reading is of the kind that fits every address.
func unsure(list []resolve.Place) bool {
	return list[0].Git != nil && !list[0].Certain && list[0].Git.Kind == "git" || list[0].Source.Kind == daypass.KindDataverse && !list[0].Certain
}
