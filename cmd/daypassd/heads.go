package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/store"
)

// heads puts the newest link of the activity's chain where somebody who can
// change the store cannot: into the log, a file that only grows, an address.
type heads struct {
	log    *slog.Logger
	config headsConfig
	on     bool
	client *http.Client
	mu     sync.Mutex
}

func newHeads(log *slog.Logger, c headsConfig, on bool) *heads {
	return &heads{log: log, config: c, on: on, client: &http.Client{Timeout: 5 * time.Second}}
}

// tell is called at most once a second. What cannot be sent is in the log.
func (h *heads) tell(head store.Head) {
	if !h.on {
		return
	}
	h.log.Info("head", "chain", head.String())
	if h.config.File == "" && h.config.URL == "" {
		return
	}
	go func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		line := fmt.Appendf(nil, "%s %s\n", time.Now().UTC().Format(time.RFC3339), head)
		if err := h.append(line); err != nil {
			h.log.Error("a head was not written", "file", h.config.File, "err", err)
		}
		if err := h.post(line); err != nil {
			h.log.Error("a head was not sent", "err", err)
		}
	}()
}

func (h *heads) append(line []byte) error {
	if h.config.File == "" {
		return nil
	}
	f, err := os.OpenFile(h.config.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func (h *heads) post(line []byte) error {
	if h.config.URL == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, h.config.URL, bytes.NewReader(line))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := h.client.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return nil
}
