package fake

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// maxRevoke is how many credentials one request may revoke: docs.github.com,
// "Revocation", "Revoke a list of credentials".
const maxRevoke = 1000

// serveRevoke answers POST /credentials/revoke: without authentication, 60
// requests an hour from one address. It says 202 whether or not the
// credentials exist, so that nobody can try them out.
func (g *GitHub) serveRevoke(c *call) {
	const docs = docsURL + "/credentials/revoke#revoke-a-list-of-credentials"
	if c.r.Method != http.MethodPost {
		c.notFound("/credentials/revoke")
		return
	}
	if c.r.Header.Get("Authorization") != "" {
		c.fail(http.StatusForbidden, "This endpoint does not accept authenticated requests.", docs)
		return
	}
	limit := orElse(g.sw.AnonymousLimit, 60)
	b, ok := g.use(g.buckets, "address "+remoteHost(c.r), limit)
	c.limitHeaders(b, limit)
	if !ok {
		g.failLimit(c)
		return
	}
	var body struct {
		Credentials []string `json:"credentials"`
	}
	raw, err := io.ReadAll(io.LimitReader(c.r.Body, 1<<20))
	if err != nil || json.Unmarshal(raw, &body) != nil || len(body.Credentials) == 0 || len(body.Credentials) > maxRevoke {
		c.reply(http.StatusUnprocessableEntity, map[string]any{
			"message": "Validation Failed", "documentation_url": docs, "status": "422",
			"errors": []string{"credentials must be a list of 1 to 1000 strings"},
		})
		return
	}
	for _, v := range body.Credentials {
		if !revocable(v) {
			c.reply(http.StatusUnprocessableEntity, map[string]any{
				"message": "Validation Failed", "documentation_url": docs, "status": "422",
				"errors": []string{"credentials contains a value of an unknown type"},
			})
			return
		}
	}
	for _, v := range body.Credentials {
		g.revoke(v)
	}
	c.reply(http.StatusAccepted, struct{}{})
}

// revocable reports whether v looks like a credential that the endpoint takes.
func revocable(v string) bool {
	for _, p := range []string{"ghp_", "github_pat_", "gho_", "ghu_", "ghr_"} {
		if strings.HasPrefix(v, p) && len(v) > len(p) {
			return true
		}
	}
	return false
}
