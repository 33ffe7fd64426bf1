package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/doctor"
	"github.com/daypass-dev/daypass/provider/github"
)

func TestWrap(t *testing.T) {
	long := "https://ghes.example/" + strings.Repeat("x", 90)
	for _, tc := range []struct{ lead, text, want string }{
		{"ok    ", "short", "ok    short"},
		{"ok    ", "", "ok    "},
		{"bad   ", "a " + long + " b", "bad   a\n      " + long + "\n      b"},
		{"      Next: ", strings.Repeat("word ", 14) + "last", "      Next: " + strings.TrimSpace(strings.Repeat("word ", 13)) + "\n      word last"},
		{"note  ", "a\x1b[2Jb\nc", "note  a\\u001b[2Jb c"},
	} {
		if got := wrap(tc.lead, tc.text); got != tc.want {
			t.Errorf("wrap(%q, %q) =\n%s\nwant\n%s", tc.lead, tc.text, got, tc.want)
		}
	}
	for line := range strings.SplitSeq(wrap("warn  ", strings.Repeat("wörter … ", 60)), "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("a line of %d columns", n)
		}
	}
}

// Each level is a word and not only a colour; the worst comes last.
func TestShowFindings(t *testing.T) {
	list := []doctor.Finding{
		{Level: doctor.Bad, Title: "B", Fix: "Do it."}, {Level: doctor.OK, Title: "O"}, {Level: doctor.Warn, Title: "W", Detail: "Why."}, {Level: doctor.Note, Title: "N"},
	}
	var out bytes.Buffer
	a := &app{}
	a.showFindings(&screen{out: &out, rich: true}, list)
	want := "ok    O\nnote  N\nwarn  W\n      Why.\n\x1b[1mbad\x1b[0m   B\n      Next: Do it.\n\nIn all 1 thing is bad, with 1 warning and 1 note.\n"
	if out.String() != want {
		t.Errorf("shown:\n%q\nwant\n%q", out.String(), want)
	}
	out.Reset()
	a.showFindings(&screen{out: &out}, list[1:2])
	if want := "ok    O\n\nNothing is wrong: 1 check ok, no notes.\n"; out.String() != want {
		t.Errorf("shown: %q", out.String())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestClock(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answer := func(status int, date time.Time) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			if len(r.Header["Authorization"]) > 0 {
				t.Error("a token was sent")
			}
			rec := http.Response{StatusCode: status, Header: http.Header{"Date": {date.Format(http.TimeFormat)}}, Body: http.NoBody, Request: r}
			return &rec, nil
		}
	}
	expired := &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}
	for _, tc := range []struct {
		name  string
		base  roundTrip
		codes string
		up    bool
		says  string
	}{
		{"right", answer(401, now.Add(3*time.Second)), "ok:clock", true, ""},
		{"slow", answer(401, now.Add(2*time.Minute)), "warn:clock-skew", true, "2m0s behind"},
		{"far off", answer(401, now.Add(-time.Hour)), "bad:clock-skew", true, "1h0m0s ahead"},
		{"limited", answer(429, now), "ok:clock", true, ""},
		{"broken", answer(503, now), "ok:clock warn:host-unreachable", false, "no usable answer"},
		{"gone", func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }, "warn:host-unreachable", false, "ghes.example"},
		{"hangs", func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, "warn:host-unreachable", false, "cannot be reached"},
		{"old certificate", func(*http.Request) (*http.Response, error) { return nil, expired }, "warn:host-unreachable", false, "it says 2026-03-01 12:00 UTC"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := &app{transport: tc.base, now: func() time.Time { return now }, getenv: func(string) string { return "" }}
			h, err := github.ParseHost("ghes.example")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			list, up := a.clock(ctx, h)
			var codes []string
			all := ""
			for _, f := range list {
				codes = append(codes, string(f.Level)+":"+f.Code)
				all += f.Title + " " + f.Detail + " "
			}
			if got := strings.Join(codes, " "); got != tc.codes || up != tc.up || !strings.Contains(all, tc.says) {
				t.Errorf("%s, up %v: %s; want %s, %v, %q", got, up, all, tc.codes, tc.up, tc.says)
			}
		})
	}
}

// Several hosts that agree on the time are one finding.
func TestClocksAskAtTheSameTime(t *testing.T) {
	now := time.Now()
	slow := roundTrip(func(r *http.Request) (*http.Response, error) {
		time.Sleep(50 * time.Millisecond)
		return &http.Response{StatusCode: 401, Header: http.Header{"Date": {now.UTC().Format(http.TimeFormat)}}, Body: http.NoBody, Request: r}, nil
	})
	a := &app{transport: slow, now: func() time.Time { return now }, getenv: func(string) string { return "" }}
	var hosts []github.Host
	for _, name := range []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example", "h.example"} {
		h, err := github.ParseHost(name)
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	start := time.Now()
	list, up := a.clocks(t.Context(), hosts)
	if len(list) != 1 || len(up) != len(hosts) || time.Since(start) > 300*time.Millisecond {
		t.Errorf("%v, %d hosts answered in %v", list, len(up), time.Since(start))
	}
}

func TestShapes(t *testing.T) {
	for _, tc := range []struct{ host, id, page, want string }{
		{"github.com", "Iv23liABCDEFGHIJKLMN", "https://github.com/apps/x", ""},
		{"github.com", "Iv1.0123456789abcdef", "", ""},
		{"github.com", "lv23liABCDEFGHIJKLMN", "", "warn:client-id-shape"},
		{"ghes.example", "lv23liABCDEFGHIJKLMN", "", "note:client-id-shape"},
		{"x.ghe.com", "lv23liABCDEFGHIJKLMN", "", "warn:client-id-shape"},
		{"127.0.0.1:80", "", "http://127.0.0.1:80/github-apps/x", ""},
		{"ghes.example", "", "http://ghes.example/github-apps/x", "bad:app-url-shape"},
		{"github.com", "https://github.com/apps/x", "Iv23liABCDEFGHIJKLMN", "bad:client-id-url bad:app-url-shape"},
	} {
		var got []string
		for _, f := range shapes(tc.host, "FROM", tc.id, tc.page) {
			got = append(got, string(f.Level)+":"+f.Code)
			if !strings.Contains(f.Detail, tc.host) || !strings.Contains(f.Detail, "FROM") {
				t.Errorf("%s does not say where it is from: %s", f.Code, f.Detail)
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("shapes(%q, %q, %q) = %v, want %q", tc.host, tc.id, tc.page, got, tc.want)
		}
	}
}

func TestFindingOfAProblem(t *testing.T) {
	a := &app{getenv: func(k string) string { return map[string]string{"HOME": "/home/mona"}[k] }}
	err := configProblem("/home/mona/.config/daypass/config.yaml", 3, "host", "it is no host name\x1b[2J", nil)
	f := a.finding("config", doctor.Bad, err)
	if f.Title != "host in ~/.config/daypass/config.yaml, line 3 is not right" || f.Detail != `It is no host name\u001b[2J. [DP-502]` {
		t.Errorf("%+v", f)
	}
	f = a.finding("x", doctor.Bad, errors.New("read https://u:ghp_0123456789abcdefghijABCDEFGHIJ01CANA@github.com/o"))
	if strings.Contains(f.Title, "0123456789") {
		t.Errorf("%+v", f)
	}
	p := &daypass.Problem{Code: "DP-000", What: "w", Next: "Do.", Who: "They can."}
	if f := a.finding("x", doctor.Note, p); f.Detail != "[DP-000]" || f.Fix != "Do. They can." {
		t.Errorf("%+v", f)
	}
}
