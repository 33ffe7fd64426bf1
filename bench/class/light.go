package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/internal/measure"
)

const crowd = 500

// light measures five hundred clients that do no more than take the pack and look
// whether it is whole.
func (b *bench) light(s *measure.Stage) {
	st, _ := gitSite(b, s, crowd, false)
	st.atOnce([]*exec.Cmd{st.pull(0)})
	before := st.CPU()
	var good, bytes atomic.Int64
	var all sync.WaitGroup
	var once sync.Once
	why := ""
	began := time.Now()
	for i := range crowd {
		all.Go(func() {
			n, err := st.take(st.tokens[i])
			if err != nil {
				once.Do(func() { why = err.Error() })
				return
			}
			good.Add(1)
			bytes.Add(n)
		})
	}
	all.Wait()
	took := time.Since(began)
	b.Say("%d clients, %.0f MB in %.2f s; of the service's processors %.2f s; load %s", crowd, float64(bytes.Load())/1e6, took.Seconds(), (st.CPU() - before).Seconds(), measure.Load())
	if why != "" {
		b.Say("one that was lost: %s", why)
	}
	b.Note(measure.Figure{What: "five hundred light clients: lost", Got: float64(crowd - good.Load()), Bound: 0, Unit: ""})
	b.Note(measure.Figure{What: "five hundred light clients: the service's memory at most", Got: st.Memory("VmHWM"), Bound: 1024, Unit: "MiB"})
}

// take asks for the snapshot and its pack, and holds the pack to the sum at its end.
func (st *site) take(token string) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := client.New(client.Config{URL: "http://" + st.Addr + "/", Token: daypass.NewSecret(token), Now: time.Now})
	if err != nil {
		return 0, err
	}
	q := api.SnapshotQuery{Link: linkName}
	found, err := c.Snapshot(ctx, q)
	if err != nil {
		return 0, err
	}
	p, err := c.Pack(ctx, found.ID, q, 0, "")
	if err != nil {
		return 0, err
	}
	defer p.Body.Close()
	h := sha1.New()
	if _, err := io.CopyN(h, p.Body, p.Size-sha1.Size); err != nil {
		return 0, err
	}
	end, err := io.ReadAll(p.Body)
	if err == nil && !bytes.Equal(end, h.Sum(nil)) {
		err = fmt.Errorf("the pack is not whole")
	}
	return p.Size, err
}
