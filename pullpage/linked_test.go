package pullpage

import (
	"context"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

// TestWhereToConnect: the address that a person has to open is a link, and no other.
func TestWhereToConnect(t *testing.T) {
	for _, c := range []struct {
		code, next string
		href       string // "" is no link
	}{
		{"DP-851", "Open https://hub.example.org/services/daypass/connect?host=github.com&x=1, then try again.", "https://hub.example.org/services/daypass/connect?host=github.com&amp;x=1"},
		{"DP-851", "Open https://elsewhere.example/connect, then try again.", "https://elsewhere.example/connect"},
		{"DP-851", "Open http://127.0.0.1:8000/connect, then try again.", "http://127.0.0.1:8000/connect"},
		{"DP-851", "Open http://elsewhere.example/connect, then try again.", ""},
		{"DP-851", "See https://elsewhere.example/connect.", ""},
		{"DP-851", "Open https://u:p@elsewhere.example/, then try again.", ""},
		{"DP-851", "Open javascript:alert(1), then https://hub.example.org.evil.example/.", ""},
		{"DP-738", "Open https://classroom.github.com/a/AbC-1_x and accept the assignment there; then try again.", "https://classroom.github.com/a/AbC-1_x"},
		{"DP-738", "Open http://classroom.github.com/a/x and accept the assignment there.", ""},
		{"DP-738", "Open http://127.0.0.1:8000/x and accept the assignment there.", ""},
		{"DP-738", "Open https://classroom.github.com@evil.example/ and accept the assignment there.", ""},
		{"DP-738", "Accept it at https://classroom.github.com/a/x first.", ""},
		{"DP-312", "Open https://classroom.github.com/a/x and accept the assignment there.", ""},
		{"DP-312", "Check the address: GitHub is not connected yet. Open https://hub.example.org/services/x, then try again. [DP-851]", "https://hub.example.org/services/x"},
		{"DP-312", "remote: Open https://evil.example/connect now", ""},
		{"DP-312", "Open http://hub.example.org/x, then try again.", ""},
		{"DP-851", "Open https://hub.example.org/\"onclick=x, then try again.", "https://hub.example.org/"},
	} {
		w := newWorld(t, func(cf *Config) { cf.Settings.Service = "https://hub.example.org/services/daypass/" })
		w.run = func(context.Context, Request, func(pull.Event)) (pull.Report, error) {
			return pull.Report{}, &daypass.Problem{Code: c.code, What: "GitHub is not connected yet", Next: c.next}
		}
		b := w.click(lab3).Body.String()
		_, main, _ := strings.Cut(b, "<h1>")
		main, _, _ = strings.Cut(main, "</article>")
		if got := strings.Contains(main, "<a "); got != (c.href != "") || c.href != "" && !strings.Contains(main, `href="`+c.href+`"`) {
			t.Errorf("%s %s: %s", c.code, c.next, main)
		}
	}
}

// TestWhatToAccept: who has no copy of an assignment is shown where to accept it, with
// the host in plain view, as a link that they press; nothing goes there by itself.
func TestWhatToAccept(t *testing.T) {
	for next, want := range map[string]string{
		"Open https://classroom.github.com/a/AbC-1_x?a=b&c=d and accept the assignment there; then try again.": `<a role="button" id="accept" href="https://classroom.github.com/a/AbC-1_x?a=b&amp;c=d" target="_blank" rel="noopener noreferrer">Accept the assignment at <bdi>classroom.github.com</bdi>`,
		"Accept the assignment, or the invitation, at github.com first; then open the link again.":             "",
		"Open javascript:alert(1) and accept the assignment there.":                                            "",
	} {
		w := withLinks(t, labTold)
		w.run = func(context.Context, Request, func(pull.Event)) (pull.Report, error) {
			return pull.Report{}, &daypass.Problem{Code: "DP-738", What: "org/lab1-stu at github.com is not there yet", Next: next}
		}
		res := w.click("link=ph142-lab1")
		b := res.Body.String()
		if got := strings.Contains(b, `id="accept"`); got != (want != "") || !strings.Contains(b, want) || got != strings.Contains(b, "press Try again") || !strings.Contains(b, `id="again"`) {
			t.Errorf("%s: %s", next, b)
		}
		if res.Header().Get("Location") != "" || res.Header().Get("Refresh") != "" || strings.Contains(b, "http-equiv") || strings.Contains(b, "data-auto") {
			t.Errorf("it goes on by itself: %v %s", res.Header(), b)
		}
	}
}
