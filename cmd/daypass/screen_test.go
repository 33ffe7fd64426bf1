package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, with spaces": "plain text, with spaces", "Grüße 日本語 ┌─┐ 🙂": "Grüße 日本語 ┌─┐ 🙂", "a\nb\tc": "a b c",
		"\x1b[2J": `\u001b[2J`, "\a\b\r\x7f\x00": `\u0007\u0008\u000d\u007f\u0000`, "\u0085\u009b2J\u0090": `\u0085\u009b2J\u0090`,
		"\u202eevil\u2066": `\u202eevil\u2066`, "\u200e\u200f\u061c": `\u200e\u200f\u061c`, "a\u2028b\u2029": `a\u2028b\u2029`,
		"a\u200b\u200c\u200d\u2060\ufeffb": `a\u200b\u200c\u200d\u2060\ufeffb`, "\u00ad": `\u00ad`, "\U000e0041": `\U000e0041`,
		"a\u00a0\u2003\u3000b": `a\u00a0\u2003\u3000b`, "\u3164\u115f\u034f": `\u3164\u115f\u034f`, "\ufe0f\U000e0100": `\ufe0f\U000e0100`,
		"\xff\xfe": `\ufffd\ufffd`, "\ue000\U0010fffd": `\ue000\U0010fffd`, "\u0378": `\u0378`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

type hostileWord string

type hostileStringer struct{}

func (hostileStringer) String() string { return hostileText }

const hostileText = "x\x1b]0;t\a\u009b2J\u202e\u2028\r\nLogged in"

// TestScreenCleans: whatever is handed over, no caller has to think of it.
func TestScreenCleans(t *testing.T) {
	for _, rich := range []bool{false, true} {
		for name, arg := range map[string]any{
			"string": hostileText, "named": hostileWord(hostileText), "error": errors.New(hostileText), "wrapped": fmt.Errorf("a: %w", errors.New(hostileText)),
			"stringer": hostileStringer{}, "pointer": &hostileStringer{}, "list": []string{hostileText}, "bytes": []byte(hostileText), "map": map[string]string{hostileText: hostileText},
			"struct": struct{ s string }{hostileText}, "nil": nil, "address": netip.MustParseAddr("fe80::1%a\x1b"),
		} {
			var out, errs bytes.Buffer
			s := &screen{out: &out, err: &errs, now: time.Now, rich: rich}
			s.say("a %v b", arg)
			s.result("a %v b", arg)
			said := out.String() + errs.String()
			if strings.ContainsAny(said, "\x1b\a\r\u009b\u202e\u2028") || strings.Count(said, "\n") != 2 {
				t.Errorf("%s: %q", name, said)
			}
		}
		var out, errs bytes.Buffer
		s := &screen{out: &out, err: &errs, now: time.Now, rich: rich}
		s.redraw(hostileText)
		if said := strings.TrimPrefix(errs.String(), "\r\x1b[2K"); strings.ContainsAny(said, "\x1b\r\n\u009b") {
			t.Errorf("redrawn: %q", said)
		}
		said := strings.TrimSuffix(strings.TrimPrefix(string(s.bold(hostileText)), "\x1b[1m"), "\x1b[0m")
		if strings.ContainsAny(said, "\x1b\r\n\u009b") {
			t.Errorf("bold: %q", said)
		}
	}
}

// TestScreenKeeps: numbers, our own bold text and our own lines stay as they are.
func TestScreenKeeps(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, err: &out, now: time.Now, rich: true}
	s.result("%d %5.1f %t %-4s| %s %s", 7, 1.5, true, "a", s.bold("b"), lines("c\n\td\x1b"))
	if got, want := out.String(), "7   1.5 true a   | \x1b[1mb\x1b[0m c\n\td\\u001b\n"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
	out.Reset()
	s.json = true
	s.event("x", map[string]any{"name": "a\u202eb"})
	if !strings.Contains(out.String(), "a\u202eb") {
		t.Errorf("JSON is changed: %q", out.String())
	}
}
