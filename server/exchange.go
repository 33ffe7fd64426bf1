package server

import (
	"cmp"
	"net/http"

	"github.com/daypass-dev/daypass/api"
)

// The two endpoints of a job are where PyPI has them and have its shapes, so that
// programs that publish there work here too: warehouse's oidc/views.py, and
// gh-action-pypi-publish, whose oidc-exchange.py reads "audience", "token", and
// of a refusal each of "errors".

func (s *Server) audience(c *call) error {
	if s.c.Broker.Exchange == nil {
		return noExchange()
	}
	s.writeJSON(c.w, http.StatusOK, api.Audience{Audience: s.c.Broker.Audience})
	return nil
}

func (s *Server) mintToken(c *call) error {
	if s.c.Broker.Exchange == nil {
		return noExchange()
	}
	if err := s.strangers(c); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	q, err := api.DecodeMintToken(b)
	if err != nil || s.looksLikePass(q.Token) {
		return malformed("it holds no token of a job")
	}
	minted, err := s.c.Broker.Exchange(c.r.Context(), q.Token, s.from(c.r))
	if err != nil {
		return err
	}
	out, err := minted.Encode()
	if err != nil {
		return err
	}
	sendJSON(c.w, http.StatusOK, out)
	return nil
}

// refuseJob tells a refusal in PyPI's shape. PyPI says 422 whatever is wrong with
// the request or the token.
func (s *Server) refuseJob(w http.ResponseWriter, ref *Refusal, status int) {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict:
		status = http.StatusUnprocessableEntity
	}
	text := sentence(ref.Problem.What)
	for _, more := range []string{ref.Problem.Why, ref.Problem.Next, ref.Problem.Who} {
		if more != "" {
			text += " " + sentence(more)
		}
	}
	if ref.Event != "" {
		text += " Event " + ref.Event + "."
	}
	s.writeJSON(w, status, api.MintRefused{
		Message: "Token request failed", Errors: []api.MintError{{Code: cmp.Or(ref.Problem.Code, "DP-886"), Description: text}},
	})
}
