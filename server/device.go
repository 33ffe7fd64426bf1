package server

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/api"
)

// codeLetters are what a user's code is made of: no vowels, so that no word comes
// out, and nothing that looks like something else (RFC 8628, 6.1).
const codeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// userCode reads a code as people type it; false where it cannot be one.
func userCode(text string) (string, bool) {
	if len(text) > 64 {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case r == '-' || r == ' ' || r == '\t' || r == '\u2010' || r == '\u2011' || r == '\u2013':
			return -1
		}
		return r
	}, text)
	return code, len(code) == 8 && strings.Trim(code, codeLetters) == ""
}

func dashed(code string) string { return code[:4] + "-" + code[4:] }

func (s *Server) askDevice(c *call) error {
	if s.c.Broker.AskDevice == nil {
		return noPasses()
	}
	if err := s.strangers(c); err != nil {
		return err
	}
	var q api.DeviceRequest
	if err := c.decode(&q); err != nil {
		return err
	}
	if why := q.Check(); why != "" {
		return malformed(why)
	}
	codes, err := s.c.Broker.AskDevice(c.r.Context(), DeviceAsk{
		Label: q.Label, Limits: q.Limits, For: time.Duration(q.For) * time.Second, From: s.from(c.r), Request: c.request,
	})
	if err != nil {
		return err
	}
	user, ok := userCode(codes.User)
	if !ok || codes.Device.IsZero() {
		return errors.New("the broker made no codes")
	}
	page := s.Link("device")
	b, err := api.DeviceCodes{
		Device: codes.Device, User: dashed(user), Page: page, Complete: page + "?user_code=" + dashed(user),
		Expires: max(1, int64(codes.Until.Sub(s.c.Now())/time.Second)), Interval: max(1, int64(codes.Interval/time.Second)),
	}.Encode()
	if err != nil {
		return err
	}
	sendJSON(c.w, http.StatusOK, b)
	return nil
}

// takeDevice is asked again and again, by many machines behind one address: it is
// held to what strangers may ask, and each code to its interval.
func (s *Server) takeDevice(c *call) error {
	if s.c.Broker.TakeDevice == nil {
		return noPasses()
	}
	if _, wait := s.strange.take(keyOf(s.address(c.r)), s.c.Now(), true); wait > 0 {
		s.metrics.limited.WithLabelValues("address").Inc()
		return tooOften(wait)
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	q, err := api.DecodeDeviceToken(b)
	if err != nil {
		return malformed("it holds no code of a device")
	}
	reply, state, err := s.c.Broker.TakeDevice(c.r.Context(), q.Device)
	switch {
	case err != nil:
		return err
	case state != DeviceYes || reply.Pass.IsZero():
		return undecided(state)
	}
	return s.sendPass(c.w, reply)
}

// deviceMain is the page of a device's code.
type deviceMain struct {
	Code    string // with its hyphen; "" where it has to be typed first
	Wait    DeviceWait
	Summary summary
	Here    string // the address of the browser; may be empty
	Same    bool   // as that of whoever asks
	Short   bool   // less long than was asked for
}

// devicePage says what is asked, by whom, and what that would allow. It decides
// nothing: the link with the code in it may have come from anybody.
func (s *Server) devicePage(v *visit) error {
	if s.c.Broker.DeviceFor == nil {
		return noPasses()
	}
	typed := v.r.URL.Query().Get("user_code")
	if typed == "" {
		return s.show(v, "device", "Confirm a code", deviceMain{})
	}
	code, wait, err := s.waits(v, typed)
	if err != nil {
		return err
	}
	ask, bounds, err := s.askOf(v, wait)
	if err != nil {
		return err
	}
	m := deviceMain{Code: dashed(code), Wait: wait, Summary: s.summary(ask.Limits)}
	m.Summary.For, m.Short = ask.For, ask.For < wait.For
	if m.Summary.For == 0 {
		m.Summary.For = bounds.Usual
	}
	if a := s.from(v.r); a.IsValid() {
		m.Here, m.Same = a.String(), a.String() == wait.From
	}
	return s.show(v, "device", "Confirm a code", m)
}

// waits finds what waits under a code. Wrong codes are few, for one person and for
// one address.
func (s *Server) waits(v *visit, typed string) (string, DeviceWait, error) {
	var none DeviceWait
	now, who := s.c.Now(), v.who.Caller
	mine, wait := s.guesses.try(keyOf(userText(who.User)), now)
	if wait > 0 {
		s.metrics.limited.WithLabelValues("code").Inc()
		return "", none, tooOften(wait)
	}
	ours, wait := s.places.try(keyOf(place(s.address(v.r))), now)
	if wait > 0 {
		mine()
		s.metrics.limited.WithLabelValues("code").Inc()
		return "", none, tooOften(wait)
	}
	code, ok := userCode(typed)
	if !ok {
		return "", none, noSuchCode()
	}
	w, ok, err := s.c.Broker.DeviceFor(v.r.Context(), who, code)
	switch {
	case err != nil:
		return "", none, err
	case !ok || !w.Until.After(now):
		return "", none, noSuchCode()
	}
	mine()
	ours()
	return code, w, nil
}

// askOf is what a yes asks the broker for: what waits, for no longer than a device
// may have it, however lately its person signed in.
func (s *Server) askOf(v *visit, w DeviceWait) (PassAsk, PassBounds, error) {
	bounds, err := s.c.Broker.PassBounds(v.r.Context(), v.who.Caller)
	if err != nil {
		return PassAsk{}, bounds, err
	}
	ask := PassAsk{Label: w.Label, Limits: w.Limits, For: w.For, Request: s.requestOf(v)}
	if ask.For == 0 {
		ask.For = bounds.Usual
	}
	ask.For = min(ask.For, bounds.Short)
	return ask, bounds, nil
}

func (s *Server) decideDevice(v *visit) error {
	if s.c.Broker.DecideDevice == nil {
		return noPasses()
	}
	yes := v.form.Get("decision") == "yes"
	if !yes && v.form.Get("decision") != "no" {
		return badForm("it says neither yes nor no")
	}
	code, wait, err := s.waits(v, v.form.Get("user_code"))
	if err != nil {
		return err
	}
	ask, _, err := s.askOf(v, wait)
	if err != nil {
		return err
	}
	ok, err := s.c.Broker.DecideDevice(v.r.Context(), v.who.Caller, code, yes, ask)
	switch {
	case err != nil:
		return err
	case !ok:
		return noSuchCode()
	case !yes:
		return s.show(v, "done", "Nothing was given", done{
			Text: "The code is worthless now. If it was not you who began this, somebody tried to get a pass of yours: tell the hub's admins.", Go: s.base, GoText: "Back to your access",
		})
	}
	return s.show(v, "done", "Done", done{
		Text: "Go back to your terminal: it goes on by itself within a few seconds. The pass is in the list of your passes, where you can end it.", Go: s.path("passes"), GoText: "To your passes",
	})
}
