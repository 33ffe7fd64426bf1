package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// listeners are where requests come in, each nil where the configuration has no
// such part.
type listeners struct{ hub, gateway *listener }

func (l listeners) none() bool { return l.hub == nil && l.gateway == nil }

func (l listeners) close() {
	for _, one := range []*listener{l.hub, l.gateway} {
		if one != nil {
			one.Close()
		}
	}
}

// listenAll opens every address of the configuration. None of them and no error
// means that another daypass serves this already.
func (s *app) listenAll(ctx context.Context, c *serverConfig) (l listeners, err error) {
	if !c.hubless {
		if l.hub, err = s.listen(c.Listen, c.TLS); err != nil {
			return listeners{}, s.portTaken(ctx, c, err)
		}
	}
	if c.Gateway != nil {
		if l.gateway, err = s.listen(c.Gateway.Listen, c.Gateway.TLS); err != nil {
			l.close()
			return listeners{}, serveProblem("DP-908", "the gateway cannot listen at "+c.Gateway.Listen, err.Error(), `Choose another address under "gateway.listen", or stop whoever has it.`)
		}
	}
	return l, nil
}

// An entry is one of the addresses at which the service answers, with what answers
// there.
type entry struct {
	srv *http.Server
	ln  *listener
}

func (svc *service) entries(s *app, ls listeners) ([]entry, error) {
	var out []entry
	if ls.hub != nil {
		face, err := svc.face(s)
		if err != nil {
			return nil, err
		}
		out = append(out, entry{face.HTTP(), ls.hub})
		svc.log.Info("daypass serves", "version", daypass.Version, "at", svc.config.URL, "listening", ls.hub.Addr().String(),
			"mode", face.Mode(), "store", svc.durability(context.Background()), "hosts", strings.Join(svc.broker.Hosts(), " "))
	}
	if ls.gateway != nil {
		srv, err := svc.gatewayHTTP(s)
		if err != nil {
			return nil, err
		}
		out = append(out, entry{srv, ls.gateway})
		g := svc.config.Gateway
		svc.log.Info("daypass keeps a gateway", "version", daypass.Version, "at", g.URL, "listening", ls.gateway.Addr().String(),
			"to", g.Upstream, "mode", g.Mode, "store", svc.durability(context.Background()))
	}
	return out, nil
}

// run serves until ctx ends; then requests that are under way get ten seconds.
func (svc *service) run(ctx context.Context, entries []entry) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var work []func(context.Context) error
	if svc.broker != nil {
		go svc.measure(ctx)
		go svc.changed.follow(ctx)
		work = append(work, svc.broker.Run)
		if svc.readers != nil {
			go svc.readers.tend(ctx, svc.metrics)
		}
	}
	if svc.book != nil {
		work = append(work, svc.keepBook)
	}
	ended := make(chan error, len(work)+len(entries))
	for _, w := range work {
		go func() { ended <- w(ctx) }()
	}
	for _, d := range entries {
		go func() { ended <- d.ln.serve(d.srv) }()
	}
	left := len(work) + len(entries)
	var err error
	select {
	case err = <-ended:
		left--
	case <-ctx.Done():
	}
	stop()
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, d := range entries {
		if serr := d.srv.Shutdown(end); serr != nil {
			d.srv.Close()
		}
	}
	for range left {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	svc.log.Info("daypass has stopped")
	return err
}
