package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// MintPass asks for a pass of the caller's. The reply is the only one that ever
// holds it. A mistake that can be seen here is not sent.
func (c *Client) MintPass(ctx context.Context, r api.PassRequest) (api.PassReply, error) {
	if why := r.Check(); why != "" {
		return api.PassReply{}, unsendable(why)
	}
	_, body, err := c.send(ctx, http.MethodPost, api.PathPasses, r, answerTime)
	if err != nil {
		return api.PassReply{}, err
	}
	return c.passIn(body)
}

// passIn reads a pass that was made, and looks at it: plain characters, an id, and
// an end that is ahead.
func (c *Client) passIn(body []byte) (api.PassReply, error) {
	reply, err := api.DecodePassReply(body)
	switch {
	case err != nil:
		return api.PassReply{}, c.strange("it is not a pass")
	case !plainWord(reply.Pass.Reveal(), api.MaxPassText) || !plainWord(reply.ID, 64):
		return api.PassReply{}, c.strange("the pass is not of plain characters")
	case reply.Until != nil && !reply.Until.After(c.now()):
		return api.PassReply{}, c.strange("the pass has ended already")
	}
	return reply, nil
}

// Passes lists the caller's passes, the newest first, those that ended too.
func (c *Client) Passes(ctx context.Context) ([]api.Pass, error) {
	var p api.Passes
	err := c.get(ctx, api.PathPasses, answerTime, &p)
	return p.Passes, err
}

// EndPass ends one of them, with all that were narrowed from it.
func (c *Client) EndPass(ctx context.Context, id string) (api.PassEnded, error) {
	return c.ended(c.send(ctx, http.MethodDelete, api.PassPath(id), nil, endTime))
}

// EndShownPass ends a pass that the caller holds, whoever's it is, with all that
// were narrowed from it. The client's own token is not sent.
func (c *Client) EndShownPass(ctx context.Context, pass daypass.Secret) (api.PassEnded, error) {
	return c.ended(c.sendAs(ctx, daypass.Secret{}, http.MethodPost, api.PathEndPass, api.ShownPass{Pass: pass}, endTime))
}

func (c *Client) ended(_ int, body []byte, err error) (api.PassEnded, error) {
	var p api.PassEnded
	if err != nil {
		return p, err
	}
	if json.Unmarshal(body, &p) != nil {
		return p, c.strange("it does not say what was ended")
	}
	return p, nil
}

// AskDevice begins a device flow (RFC 8628): somebody is to open the page and to
// confirm the user's code, while TakeDevice waits. No token is sent.
func (c *Client) AskDevice(ctx context.Context, r api.DeviceRequest) (api.DeviceCodes, error) {
	if why := r.Check(); why != "" {
		return api.DeviceCodes{}, unsendable(why)
	}
	_, body, err := c.sendAs(ctx, daypass.Secret{}, http.MethodPost, api.PathDevice, r, answerTime)
	if err != nil {
		return api.DeviceCodes{}, err
	}
	codes, err := api.DecodeDeviceCodes(body)
	switch {
	case err != nil || !plainWord(codes.Device.Reveal(), 256):
		return api.DeviceCodes{}, c.strange("it holds no codes")
	case strings.Trim(codes.User, "BCDFGHJKLMNPQRSTVWXZ-") != "" || len(codes.User) > 16:
		return api.DeviceCodes{}, c.strange("the code is not one that people could type")
	case !c.pageOfService(codes.Page) || !c.pageOfService(codes.Complete):
		return api.DeviceCodes{}, c.strange("the page to open is none")
	}
	return codes, nil
}

// pageOfService takes what may be shown as a link: by https, or as the client
// itself speaks to the service.
func (c *Client) pageOfService(page string) bool {
	u, err := url.Parse(page)
	return err == nil && plainWord(page, 2048) && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && (c.base.Scheme == "http" || daypass.Loopback(u.Host)))
}

// TakeDevice waits until somebody has decided on the codes, and returns the pass.
// It asks as often as the service lets it. The error is a refusal where they said
// no, [daypass.ErrNoLogin] where it got too late, and ctx's where that ended.
func (c *Client) TakeDevice(ctx context.Context, codes api.DeviceCodes) (api.PassReply, error) {
	interval := time.Duration(max(codes.Interval, 1)) * time.Second
	deadline := c.now().Add(time.Duration(codes.Expires)*time.Second + 2*interval)
	failed := 0
	for {
		select {
		case <-ctx.Done():
			return api.PassReply{}, ctx.Err()
		case <-time.After(interval):
		}
		_, body, err := c.sendAs(ctx, daypass.Secret{}, http.MethodPost, api.PathDeviceToken, api.DeviceToken{Device: codes.Device}, answerTime)
		if err == nil {
			return c.passIn(body)
		}
		again, longer := deviceGoesOn(err)
		switch {
		case ctx.Err() != nil:
			return api.PassReply{}, ctx.Err()
		case !again || c.now().After(deadline):
			return api.PassReply{}, settled(err)
		case Unreachable(err) || errors.Is(err, daypass.ErrUnreachable):
			if failed++; failed > 20 {
				return api.PassReply{}, err
			}
		}
		interval += longer
	}
}

// deviceGoesOn says whether it is worth asking again, and how much later from now
// on (RFC 8628, 3.5).
func deviceGoesOn(err error) (again bool, longer time.Duration) {
	var e *Error
	if !errors.As(err, &e) {
		return errors.Is(err, daypass.ErrUnreachable), 0
	}
	switch {
	case e.OAuth == api.DevicePending:
		return true, 0
	case e.OAuth == api.DeviceSlow:
		return true, 5 * time.Second
	case e.Status == http.StatusTooManyRequests || errors.Is(err, daypass.ErrUnreachable):
		return true, min(e.RetryAfter, 30*time.Second)
	}
	return false, 0
}

// settled gives the answers that end a device flow the kind that they have for
// whoever waits: with 400 for all of them, RFC 8628 does not tell them apart.
func settled(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	kind := e.Problem.Kind
	switch e.OAuth {
	case api.DeviceDenied:
		kind = daypass.ErrRefused
	case api.DeviceExpired, api.DevicePending, api.DeviceSlow:
		kind = daypass.ErrNoLogin
	}
	out, p := *e, *e.Problem
	p.Kind, out.Problem = kind, &p
	return &out
}

// unsendable is a request that the service would refuse anyhow, or, worse, read in
// another way than was meant.
func unsendable(why string) error {
	return &daypass.Problem{
		Code: "DP-863", What: "that is no request for a pass", Why: why, Next: "Correct it.", Kind: daypass.ErrUsage,
	}
}
