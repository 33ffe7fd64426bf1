package pass

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// What is wrong with a time that somebody typed.
var (
	ErrWhen    = errors.New(`pass: not a time: say "8h", "1 year 2 months", "2027-01-31", "2027-01-31 18:00", seconds since 1970, or "never"`)
	ErrMonth   = errors.New(`pass: "m" may mean months or minutes: say "month" or "min"`)
	ErrTooFar  = errors.New("pass: that is further away than a calendar goes")
	errNoUnits = errors.New("pass: no such unit of time")
)

// ParseWhen reads when something ends or begins, as people write it:
//
//	never                        daypass.Forever
//	1798675200, @1798675200      seconds since 1970
//	10min, 1 year 2 months, -5min from now; y, month, w, d, h, min, s and their long names, together
//	2027-01-31T18:00:00Z         RFC 3339
//	2027-01-31 18:00             in now's time zone
//	2027-01-31                   where that day begins, likewise: an end is never later than was meant
//
// A year and a month go by the calendar, in UTC, and stay in their month: a
// year from 29 February is 28 February, a month from 31 January is the last of
// February. A day is 24 hours. So the same words at the same moment mean the
// same moment in every time zone. The result is in whole seconds, in UTC.
//
// A bare m is ErrMonth: devpi-tokens means months by it, most others minutes.
func ParseWhen(text string, now time.Time) (time.Time, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	if s == "never" {
		return daypass.Forever, nil
	}
	if n, ok := seconds(strings.TrimPrefix(s, "@")); ok {
		return within(time.Unix(n, 0))
	}
	upper := strings.ToUpper(s)
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, upper, now.Location()); err == nil {
			return within(t)
		}
	}
	return parseDelta(s, now)
}

// within refuses what other programs' calendars do not hold.
func within(t time.Time) (time.Time, error) {
	if t = t.UTC().Truncate(time.Second); t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, ErrTooFar
	}
	return t, nil
}

func parseDelta(s string, now time.Time) (time.Time, error) {
	sign := int64(1)
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = -1, rest
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	var months, secs int64
	for first := true; s != "" || first; first = false {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseInt(s[:digits], 10, 32)
		if err != nil {
			return time.Time{}, ErrWhen
		}
		s = strings.TrimLeft(s[digits:], " ")
		letters := len(s) - len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz"))
		m, sec, err := unit(s[:letters])
		if s[:letters] == "m" {
			return time.Time{}, ErrMonth
		}
		if err != nil {
			return time.Time{}, ErrWhen
		}
		months += n * m
		secs += n * sec
		s = strings.TrimLeft(s[letters:], " ,")
	}
	if months > 12*9999 || secs > math.MaxInt32*100 {
		return time.Time{}, ErrTooFar
	}
	t := addMonths(now.UTC(), int(sign*months))
	return within(time.Unix(t.Unix()+sign*secs, 0))
}

// unit returns what one of a unit is, in months or in seconds.
func unit(name string) (months, secs int64, err error) {
	switch name {
	case "y", "year", "years":
		return 12, 0, nil
	case "month", "months":
		return 1, 0, nil
	case "w", "week", "weeks":
		return 0, 7 * 86400, nil
	case "d", "day", "days":
		return 0, 86400, nil
	case "h", "hour", "hours":
		return 0, 3600, nil
	case "min", "mins", "minute", "minutes":
		return 0, 60, nil
	case "s", "sec", "secs", "second", "seconds":
		return 0, 1, nil
	}
	return 0, 0, errNoUnits
}

// addMonths is AddDate, but that it stays in the month.
func addMonths(t time.Time, months int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(months), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}
