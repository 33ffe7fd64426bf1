package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/internal/measure"
)

const big = 200 << 20 // bytes of the file that goes up and down

// large sends a big file up and down, by either way in turns.
func (b *bench) large(s *measure.Stage) {
	st := newSite(b, s)
	st.do(st.through("GET", st.file, nil))
	before := st.Memory("VmRSS")
	for _, way := range []string{"up", "down"} {
		name := ""
		b.Best(measure.Figure{What: "200 MiB " + way + ": throughput, of direct", Bound: 0.9, AtLeast: true, Unit: "times"}, func() float64 {
			var ratios []float64
			for i := range 3 {
				direct, through := st.time(way, false, i, &name), st.time(way, true, i, &name)
				b.Say("200 MiB %s: %.2f s direct, %.2f s through the gateway", way, direct.Seconds(), through.Seconds())
				ratios = append(ratios, direct.Seconds()/through.Seconds())
			}
			return median(ratios)
		})
	}
	b.Note(measure.Figure{What: "the most memory meanwhile, beyond what it had", Got: st.Memory("VmHWM") - before, Bound: 20, Unit: "MiB"})
}

func (st *site) time(way string, gateway bool, round int, name *string) time.Duration {
	request := st.direct
	if gateway {
		request = st.through
	}
	if way == "down" {
		if *name == "" {
			*name = st.findFile("large")
		}
		took, n := st.doRead(request("GET", *name, nil))
		if n != big {
			st.s.Fatalf("%d bytes came down", n)
		}
		return took
	}
	body, kind, size := form(round, gateway)
	r := request("POST", user+"/dev/", body)
	r.Header.Set("Content-Type", kind)
	r.ContentLength = size
	return st.do(r)
}

// form is an upload as twine sends it, whose file nobody holds in memory.
func form(round int, gateway bool) (body io.Reader, kind string, size int64) {
	seed := [32]byte{byte(round)}
	if gateway {
		seed[1] = 1
	}
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	for _, f := range [][2]string{{":action", "file_upload"}, {"metadata_version", "2.1"}, {"name", "large"}, {"version", "1.0"}, {"filetype", "sdist"}, {"pyversion", "source"}} {
		w.WriteField(f[0], f[1])
	}
	w.CreateFormFile("content", "large-1.0.tar.gz")
	tail := fmt.Sprintf("\r\n--%s--\r\n", w.Boundary())
	return io.MultiReader(&head, io.LimitReader(rand.NewChaCha8(seed), big), bytes.NewBufferString(tail)), w.FormDataContentType(), int64(head.Len()) + big + int64(len(tail))
}

// crowd shows one token again and again, and then ten thousand in turn.
func (b *bench) crowd(s *measure.Stage) {
	const many = 10_000
	st := newSite(b, s)
	tokens := make([]string, many)
	began := time.Now()
	st.inParallel(many, func(i int) {
		tokens[i] = devpitest.API{URL: st.gateway}.Token(s, devpitest.User(user, st.session), user, nil)
	})
	b.Say("%d tokens made in %.1f s", many, time.Since(began).Seconds())
	for _, t := range tokens {
		st.do(st.request(st.gateway, t, "GET", st.file, nil))
	}
	b.Best(measure.Figure{What: "p50 of 10,000 tokens in turn, of one token's", Bound: 1.05, Unit: "times"}, func() float64 {
		var one, each []time.Duration
		for _, t := range tokens {
			each = append(each, st.do(st.request(st.gateway, t, "GET", st.file, nil)))
			one = append(one, st.do(st.request(st.gateway, tokens[0], "GET", st.file, nil)))
		}
		b.Say("p50 %.3f ms with one token, %.3f ms with %d", ms(median(one)), ms(median(each)), many)
		return float64(median(each)) / float64(median(one))
	})
	b.Say("resident %.1f MiB, at most %.1f MiB", st.Memory("VmRSS"), st.Memory("VmHWM"))
}

// plugin does the same with devpi-tokens, and fewer tokens: each costs it 100 MiB
// and about 150 ms when it is not among the last 128.
func (b *bench) plugin(s *measure.Stage) {
	const many = 160
	devpi := devpitest.Start(s, devpitest.Options{Plugin: true})
	devpi.AddUser(s, user, "secret-of-ann")
	st := &site{s: s, devpi: devpi, session: devpi.Login(s, user, "secret-of-ann"), client: &http.Client{Timeout: time.Minute}}
	devpi.Upload(s, devpitest.User(user, st.session), user+"/dev", devpitest.Wheel("maps", "1.0"))
	st.file = st.findFile("maps")
	tokens := make([]string, many)
	for i := range tokens {
		tokens[i] = devpi.Token(s, devpitest.User(user, st.session), user, nil)
	}
	var one, each []time.Duration
	for _, t := range tokens {
		each = append(each, st.do(st.request(devpi.URL, t, "GET", st.file, nil)))
	}
	for range tokens {
		one = append(one, st.do(st.request(devpi.URL, tokens[many-1], "GET", st.file, nil)))
	}
	b.Say("devpi-tokens: p50 %.2f ms with one token, %.2f ms with %d in turn: %.1f times", ms(median(one)), ms(median(each)), many, float64(median(each))/float64(median(one)))
}
