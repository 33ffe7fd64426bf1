package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/daypass-dev/daypass"
)

// The rules of what is shown: messages go to stderr, results to stdout; each
// message ends with the next step; times are absolute with their zone, plus
// what remains; state is never colour alone; nothing is redrawn in plain mode;
// whatever comes from outside is shown with its control bytes escaped.

// A screen is where people read.
type screen struct {
	out, err io.Writer
	now      func() time.Time
	rich     bool // a terminal that can redraw a line and show bold
	utf8     bool // it shows letters outside ASCII
	json     bool // events and results as JSON on out, nothing for people there
}

func (a *app) screen(asJSON bool) *screen {
	rich := a.terminal && a.getenv("DAYPASS_PLAIN") != "1" && a.getenv("TERM") != "dumb" && a.getenv("TERM") != ""
	locale := strings.ToUpper(first(a.getenv("LC_ALL"), a.getenv("LC_CTYPE"), a.getenv("LANG")))
	return &screen{
		out: a.stdout, err: a.stderr, now: a.now, rich: rich && !asJSON, json: asJSON,
		utf8: strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8"),
	}
}

// say writes a message for people. Each argument is made printable; the format
// is always ours.
func (s *screen) say(format string, args ...any) {
	clean(args)
	fmt.Fprintf(s.err, format+"\n", args...)
}

// result writes what was asked for, its arguments made printable.
func (s *screen) result(format string, args ...any) {
	if !s.json {
		clean(args)
		fmt.Fprintf(s.out, format+"\n", args...)
	}
}

// event writes one line of JSON, in --json only.
func (s *screen) event(name string, fields map[string]any) {
	if !s.json {
		return
	}
	line := map[string]any{"event": name, "time": s.now().UTC().Format(time.RFC3339)}
	for k, v := range fields {
		line[k] = v
	}
	s.object(line)
}

// object writes one JSON value and a line end.
func (s *screen) object(v any) {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.say("daypass: cannot write JSON: %s", err)
	}
}

// problem tells a failure: one paragraph, wrapped by nobody, code last.
func (s *screen) problem(err error) {
	var p *daypass.Problem
	if !errors.As(err, &p) {
		s.say("daypass: %s", printable(err.Error()))
		s.event("error", map[string]any{"message": printable(err.Error())})
		return
	}
	s.say("daypass: %s", printable(p.Error()))
	s.event("error", map[string]any{"code": p.Code, "what": p.What, "why": p.Why, "next": p.Next, "who": p.Who})
}

// markup is text that was made printable already and holds, beyond that, only
// what we put there: bold, and the ends of lines.
type markup string

// clean makes arguments printable in place, so that no caller can forget to.
func clean(args []any) {
	for i, arg := range args {
		switch v := arg.(type) {
		case nil, markup:
			continue
		case string:
			args[i] = printable(v)
			continue
		}
		_, isError := arg.(error)
		_, hasWords := arg.(fmt.Stringer)
		switch kind := reflect.TypeOf(arg).Kind(); {
		case isError || hasWords, kind < reflect.Bool || kind > reflect.Complex128:
			args[i] = printable(fmt.Sprint(arg))
		}
	}
}

// lines makes a text of several lines printable and keeps its lines and tabs. It
// is for text that we have laid out ourselves.
func lines(text string) markup {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		for j, part := range strings.Split(line, "\t") {
			if j > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(printable(part))
		}
	}
	return markup(b.String())
}

func (s *screen) bold(text string) markup {
	if !s.rich {
		return markup(printable(text))
	}
	return markup("\x1b[1m" + printable(text) + "\x1b[0m")
}

// box shows a word that must be read and typed elsewhere.
func (s *screen) box(word string) {
	top, side, bottom := "+-+", "|", "+-+"
	if s.utf8 {
		top, side, bottom = "┌─┐", "│", "└─┘"
	}
	line := func(ends string) string {
		e := []rune(ends)
		return string(e[0]) + strings.Repeat(string(e[1]), len(word)+8) + string(e[2])
	}
	s.say("    %s", line(top))
	s.say("    %s    %s    %s", side, s.bold(word), side)
	s.say("    %s", line(bottom))
}

// redraw replaces the line under the cursor; in plain mode it does nothing.
func (s *screen) redraw(text string) {
	if s.rich {
		fmt.Fprint(s.err, "\r\x1b[2K", printable(text))
	}
}

// moment says when something ends: "18:40 CET (7 h 59 min left)".
func (s *screen) moment(t time.Time) string {
	if !t.Before(daypass.Forever) {
		return "no set time"
	}
	left := t.Sub(s.now())
	if left <= 0 {
		return clock(t, s.now()) + " (ended)"
	}
	return clock(t, s.now()) + " (" + remaining(left) + " left)"
}

// clock is a time of day with its zone, and its date unless that is today.
func clock(t, now time.Time) string {
	t = t.Local()
	if y, d := t.Year(), t.YearDay(); y == now.Local().Year() && d == now.Local().YearDay() {
		return t.Format("15:04 MST")
	}
	return t.Format("2006-01-02 15:04 MST")
}

func remaining(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// printable escapes what is not a visible character or a plain space in text
// from outside, so that it cannot move a cursor, hide itself or look like
// something else: control characters of both ranges, marks of direction, ends of
// lines, spaces of no width, odd spaces, fillers, what is no UTF-8.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case visible(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, "\\U%08x", r)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

func visible(r rune) bool {
	return unicode.IsPrint(r) && r != unicode.ReplacementChar &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
