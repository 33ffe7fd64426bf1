package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass-dev/daypass/internal/measure"
)

// small asks for a page and a small file, one request at a time and eight at once.
func (b *bench) small(s *measure.Stage) {
	st := newSite(b, s)
	for _, what := range []struct{ name, path string }{{"a file of 1 KiB", st.file}, {"a project's page", user + "/dev/+simple/maps/"}} {
		b.Best(measure.Figure{What: what.name + ": p50 added, one at a time", Bound: 0.3, Unit: "ms"}, func() float64 {
			direct, through := st.inTurns(1500, what.path)
			b.Say("%s, one at a time: p50 %.2f ms direct, %.2f ms through the gateway", what.name, ms(direct), ms(through))
			return ms(through) - ms(direct)
		})
		b.Best(measure.Figure{What: what.name + ": throughput, eight at once, of direct", Bound: 0.95, AtLeast: true, Unit: "times"}, func() float64 {
			var ratios, rates []float64
			for range 5 {
				direct, through := st.rate(false, what.path), st.rate(true, what.path)
				ratios, rates = append(ratios, through/direct), append(rates, through)
			}
			b.Say("%s, eight at once: %.0f/s through the gateway, %.2f times direct", what.name, median(rates), median(ratios))
			return median(ratios)
		})
	}
}

// inTurns sends n requests to either, one after the other, and returns the medians.
func (st *site) inTurns(n int, path string) (direct, through time.Duration) {
	var d, g []time.Duration
	for i := range n + n/10 {
		a, z := st.do(st.direct("GET", path, nil)), st.do(st.through("GET", path, nil))
		if i >= n/10 { // both are warm
			d, g = append(d, a), append(g, z)
		}
	}
	return median(d), median(g)
}

// rate is how many requests a second are answered when eight are always under way.
func (st *site) rate(gateway bool, path string) float64 {
	const lasts = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	var n atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				r := st.direct("GET", path, nil)
				if gateway {
					r = st.through("GET", path, nil)
				}
				st.do(r)
				n.Add(1)
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median[T float64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// inParallel calls f with each number below n, eight at a time.
func (st *site) inParallel(n int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	all.Wait()
}
