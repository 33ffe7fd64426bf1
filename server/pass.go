package server

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

func (s *Server) looksLikePass(token daypass.Secret) bool {
	return s.c.Broker.LooksLike(token) || looksLikePass(token)
}

// from is the address of a request for what a pass is limited to; not valid
// where it is not known.
func (s *Server) from(r *http.Request) netip.Addr {
	a, err := netip.ParseAddr(s.address(r))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// servePass answers a request that shows a pass. The hub never sees it. Where the
// route takes none, it is not even looked at.
func (s *Server) servePass(w http.ResponseWriter, r *http.Request, rt route, text daypass.Secret) error {
	switch {
	case !rt.pass:
		return notByPass()
	case s.c.Broker.PassCaller == nil:
		return badPass()
	}
	vouched, err := s.limit(keyOf("pass "+text.Reveal()), s.address(r))
	if err != nil {
		return err
	}
	caller, err := s.c.Broker.PassCaller(r.Context(), text, s.from(r))
	if err == nil && (caller.Via != daypass.ViaPass || caller.Pass.ID == "" || caller.User.Name == "") {
		err = badPass()
	}
	if err != nil {
		if errors.Is(err, daypass.ErrRefused) {
			vouched(false)
		}
		return s.deadPass(err)
	}
	vouched(true)
	// Anybody can narrow a pass into any number of others: they share one bucket.
	if _, wait := s.tokens.take(keyOf("passes of "+caller.Pass.ID), s.c.Now(), true); wait > 0 {
		s.metrics.limited.WithLabelValues("pass").Inc()
		return tooOften(wait)
	}
	return rt.call(s, &call{w: w, r: r, who: Identity{Caller: caller}, request: w.(*answer).id})
}

// deadPass gives a pass that is nobody's, or not good now, the status of a token
// that is nobody's. One that is good and has other limits stays refused.
func (s *Server) deadPass(err error) error {
	ref, code := s.judge(err)
	if code == http.StatusForbidden && slices.Contains(deadPasses, ref.Problem.Code) {
		return &status{api.StatusUnknownToken, ref}
	}
	return err
}

// deadPasses are the broker's codes for them.
var deadPasses = []string{"DP-160", "DP-163"}

// strangers lets through what shows nothing that a hub vouches for, at the rate
// of an address.
func (s *Server) strangers(c *call) error {
	if _, wait := s.opened.take(keyOf(place(s.address(c.r))), s.c.Now(), true); wait > 0 {
		s.metrics.limited.WithLabelValues("address").Inc()
		return tooOften(wait)
	}
	return nil
}

func (s *Server) mintPass(c *call) error {
	if s.c.Broker.MintPass == nil {
		return noPasses()
	}
	var q api.PassRequest
	if err := c.decode(&q); err != nil {
		return err
	}
	if why := q.Check(); why != "" {
		return malformed(why)
	}
	ask := PassAsk{Label: q.Label, For: time.Duration(q.For) * time.Second, Never: q.Never, Limits: q.Limits, ForServer: q.ForServer, Request: c.request}
	if q.Until != nil {
		ask.Until = q.Until.UTC()
	}
	reply, err := s.c.Broker.MintPass(c.r.Context(), c.who.Caller, ask)
	if err != nil {
		return err
	}
	return s.sendPass(c.w, reply)
}

func (s *Server) sendPass(w http.ResponseWriter, reply api.PassReply) error {
	b, err := reply.Encode()
	if err != nil {
		return err
	}
	sendJSON(w, http.StatusOK, b)
	return nil
}

func (s *Server) listPasses(c *call) error {
	if s.c.Broker.Passes == nil {
		return noPasses()
	}
	list, err := s.c.Broker.Passes(c.r.Context(), c.who.Caller)
	if err != nil {
		return err
	}
	out := api.Passes{Passes: []api.Pass{}}
	for _, p := range list {
		if p.Limits == nil {
			p.Limits = []string{}
		}
		out.Passes = append(out.Passes, p)
	}
	s.writeJSON(c.w, http.StatusOK, out)
	return nil
}

// passID reads a pass's id out of the path; what cannot be one is nobody's.
func passID(id string) (string, error) {
	if id == "" || len(id) > 64 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return "", noSuchPass(id)
	}
	return id, nil
}

func (s *Server) endPass(c *call) error {
	if s.c.Broker.EndPass == nil {
		return noPasses()
	}
	id, err := passID(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	event, ok, err := s.c.Broker.EndPass(c.r.Context(), c.who.Caller, id)
	if err != nil {
		return err
	}
	if !ok {
		return noSuchPass(id)
	}
	s.writeJSON(c.w, http.StatusOK, api.PassEnded{Event: event})
	return nil
}

// endShown ends a pass for whoever holds it: that is all that has to be shown, so
// that a pass that was found somewhere can be ended at once.
func (s *Server) endShown(c *call) error {
	if s.c.Broker.EndShownPass == nil {
		return noPasses()
	}
	if err := s.strangers(c); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	q, err := api.DecodeShownPass(b)
	if err != nil || !s.looksLikePass(q.Pass) {
		return malformed("it holds no pass")
	}
	event, err := s.c.Broker.EndShownPass(c.r.Context(), q.Pass, s.from(c.r))
	if err != nil {
		return err
	}
	s.writeJSON(c.w, http.StatusOK, api.PassEnded{Event: event})
	return nil
}
