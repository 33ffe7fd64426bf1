package server

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// A passForm is what somebody filled in, as it was sent.
type passForm struct {
	Label, Host, Repos, Access, For, Until, Addresses, Uses string
}

func passFormOf(q url.Values) passForm {
	f := passForm{
		Label: strings.TrimSpace(q.Get("label")), Host: q.Get("host"), Repos: strings.TrimSpace(strings.ReplaceAll(q.Get("repos"), "\r\n", "\n")), Access: q.Get("access"),
		For: q.Get("for"), Until: q.Get("until"), Addresses: strings.TrimSpace(strings.ReplaceAll(q.Get("addresses"), "\r\n", "\n")), Uses: strings.TrimSpace(q.Get("uses")),
	}
	if f.Access == "" {
		f.Access = "read"
	}
	return f
}

// mistakes are what is wrong with a form, by the name of the field.
type mistakes map[string]string

// first is any one of them; "" where there is none.
func (m mistakes) first() string {
	if fields := slices.Sorted(maps.Keys(m)); len(fields) > 0 {
		return m[fields[0]]
	}
	return ""
}

// items are things that were typed one on a line, or with commas or spaces between.
func items(text string) []string {
	list := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ',' || r == ' ' || r == '\t' })
	if len(list) == 0 {
		return nil // an empty list would be a limit that allows nothing
	}
	return list
}

// ask reads the form. The end is what the form says and the bounds allow: a day
// goes to its end in UTC, or as far as may be.
func (s *Server) ask(f passForm, bounds PassBounds, longest time.Duration) (PassAsk, mistakes) {
	wrong := mistakes{}
	ask := PassAsk{Label: f.Label, Limits: api.PassLimits{Access: f.Access}}
	if f.Access != "read" && f.Access != "write" {
		wrong["access"] = "Choose one of the two."
	}
	if f.Host != "" {
		ask.Limits.Hosts = []string{f.Host}
		if _, ok := s.host(f.Host); !ok {
			wrong["host"] = "This service has nothing to do with that host."
		}
	}
	ask.Limits.Repos = reposOf(f.Repos, wrong)
	ask.Limits.Addresses = items(f.Addresses)
	for _, a := range ask.Limits.Addresses {
		if !addressWord(a) {
			wrong["addresses"] = "“" + clean(a, 80) + "” is neither an address nor a range such as 192.0.2.0/24."
		}
	}
	if f.Uses != "" {
		n, err := strconv.Atoi(f.Uses)
		if err != nil || n < 1 || n > api.MaxUses {
			wrong["uses"] = "That is not a number of uses."
		}
		ask.Limits.Uses = n
	}
	s.ends(f, bounds, longest, &ask, wrong)
	if why := (api.PassRequest{Label: f.Label, Limits: ask.Limits}).Check(); why != "" && len(wrong) == 0 {
		wrong["label"] = sentence(why)
	}
	return ask, wrong
}

func (s *Server) ends(f passForm, bounds PassBounds, longest time.Duration, ask *PassAsk, wrong mistakes) {
	now := s.c.Now().UTC()
	switch {
	case f.Until != "":
		day, err := time.Parse(time.DateOnly, f.Until)
		end := day.Add(24*time.Hour - time.Second)
		if err != nil || !end.After(now) || day.After(now.Add(longest)) {
			wrong["until"] = "That is not a day from today to " + now.Add(longest).Format(time.DateOnly) + "."
			return
		}
		ask.Until = end
		if last := now.Add(longest).Truncate(time.Second); end.After(last) {
			ask.Until = last
		}
	case f.For == "never":
		if ask.Never = bounds.Never; !bounds.Never {
			wrong["for"] = "Passes have an end here."
		}
	case f.For != "":
		d, err := time.ParseDuration(f.For)
		if err != nil || d < time.Minute || d > longest {
			wrong["for"] = "That is not a time up to " + span(longest) + "."
		}
		ask.For = d
	default:
		ask.For = min(bounds.Usual, longest)
	}
}

// repoWord takes OWNER/NAME, OWNER/NAME#NUMBER and #NUMBER.
func repoWord(text string) bool {
	name, number, numbered := strings.Cut(text, "#")
	if numbered {
		if n, err := strconv.ParseInt(number, 10, 64); err != nil || n <= 0 {
			return false
		}
		if name == "" {
			return true
		}
	}
	_, ok := daypass.ParseRepo(name)
	return ok
}

func addressWord(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(text)
	return err == nil
}

// formLike fills a form in for a pass like another; false where a form cannot say
// all that the other is limited to, since what it left out would be allowed.
func (s *Server) formLike(p api.Pass) (passForm, bool) {
	l, rest := readLimits(p.Limits)
	f := passForm{Label: p.Label, Repos: strings.Join(l.Repos, "\n"), Access: l.Access, Addresses: strings.Join(l.Addresses, "\n")}
	if f.Access == "" {
		f.Access = "write"
	}
	if len(l.Hosts) == 1 {
		f.Host = l.Hosts[0]
	}
	if l.Uses > 0 {
		f.Uses = strconv.Itoa(l.Uses)
	}
	return f, len(rest) == 0 && len(l.Sources) == 0 && len(l.Servers) == 0 && l.NotBefore == nil && len(l.Hosts) <= 1
}

// durations are what a form offers, up to a longest.
func durations(chosen string, usual, longest time.Duration) []option {
	var out []option
	list := []time.Duration{15 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour, 24 * time.Hour}
	if d, err := time.ParseDuration(chosen); err == nil && d >= time.Minute && d <= longest && !slices.Contains(list, d) {
		list = append(list, d)
		slices.Sort(list)
	}
	if chosen == "" {
		chosen = min(usual, longest).String()
		if !slices.Contains(list, min(usual, longest)) {
			list = append(list, min(usual, longest))
			slices.Sort(list)
		}
	}
	for _, d := range list {
		if d <= longest {
			out = append(out, option{d.String(), span(d), d.String() == chosen})
		}
	}
	return out
}
