package readonly

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/daypass-dev/daypass"
)

// ReadJSON reads an answer of at most so many bytes into v, whole, and closes it.
func ReadJSON(res *http.Response, most int64, v any) error {
	body, err := ReadAll(res, most)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}

// ReadAll reads an answer of at most so many bytes, and closes it: [ErrTooLong].
func ReadAll(res *http.Response, most int64) ([]byte, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > most {
		return nil, ErrTooLong
	}
	return body, nil
}

// Failure makes a message of a request that got no answer, or one that made no
// sense. It names the host only: an address may hold what others must not see. A
// Problem, such as one of getting a token, stays what it is, and so does the end of a
// context.
func Failure(host string, err error) error {
	var problem *daypass.Problem
	if errors.As(err, &problem) {
		return problem
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	p := &daypass.Problem{
		Code: "DP-410", What: host + " cannot be asked", Why: "no answer came that makes sense", Next: "Try again in a few minutes.",
		Kind: daypass.ErrUnreachable, Err: bare(err),
	}
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		p.Code, p.What, p.Why = "DP-412", "A request to "+host+" was not made, or not followed to where it led", refused.why
		p.Next, p.Kind = "Check the address; if the site moved, use its new one.", daypass.ErrRefused
	case errors.Is(err, ErrTooLong):
		p.Why = "its answer is longer than such an answer can be"
	case errors.Is(err, ErrStalled):
		p.Why = "its answer stood still"
	case errors.Is(err, context.DeadlineExceeded):
		p.Why = "it took too long"
	}
	return p
}

// bare keeps of an error what may be compared, and not its text, which may name an
// address.
func bare(err error) error {
	for _, known := range []error{ErrForbidden, ErrTooLong, ErrStalled, context.DeadlineExceeded, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// Refused makes a message of an answer that is none of what was asked for: of 429
// (and of [Spent]) and 5xx, DP-411 and DP-410; of 401, 403, 404 and 410, an error that wraps
// [daypass.ErrNoSource] under a code, words and a next step that the caller has. It
// closes the answer.
func Refused(host string, res *http.Response, now time.Time, none daypass.Problem) error {
	res.Body.Close()
	switch {
	case res.StatusCode == http.StatusTooManyRequests, Spent(res):
		return Limited(host, max(After(res, now), time.Minute))
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusNotFound, res.StatusCode == http.StatusGone:
		none.Kind, none.Err = daypass.ErrRefused, daypass.ErrNoSource
		return &none
	}
	return &daypass.Problem{
		Code: "DP-410", What: host + " cannot be asked", Why: "it answers with status " + strconv.Itoa(res.StatusCode), Next: "Try again in a few minutes.", Kind: daypass.ErrUnreachable,
	}
}

// Limited is the error of a host that asks to slow down: it wraps
// [daypass.ErrUnreachable], [daypass.ErrLimited] and a [daypass.Limited].
func Limited(host string, wait time.Duration) error {
	return &daypass.Problem{
		Code: "DP-411", What: host + " asks to slow down", Why: "too much was asked of it in a short time", Next: "Try again in " + words(wait) + ".",
		Kind: daypass.ErrUnreachable, Err: limited(wait),
	}
}

func words(d time.Duration) string {
	switch {
	case d <= time.Minute:
		return "a minute"
	case d < 2*time.Hour:
		return strconv.Itoa(int((d+time.Minute-1)/time.Minute)) + " minutes"
	}
	return strconv.Itoa(int((d+time.Hour-1)/time.Hour)) + " hours"
}

type limited time.Duration

func (l limited) Error() string             { return daypass.ErrLimited.Error() }
func (l limited) Is(target error) bool      { return target == daypass.ErrLimited }
func (l limited) RetryAfter() time.Duration { return time.Duration(l) }
