package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// A summary says in words what a pass allows. It decides nothing.
type summary struct {
	Can    []string // sentences
	Only   []string // what narrows that
	Cannot []string
	All    bool     // as much as its owner may do
	Other  []string // limits, as they stand in the pass, for which there are no words here
	Until  time.Time
	Never  bool
	For    time.Duration // from when it is made, where Until is not known yet
}

// summary puts limits into words.
func (s *Server) summary(l api.PassLimits) summary {
	var out summary
	what, where := "every repository that you may use yourself", ""
	if len(l.Repos) > 0 {
		what = and(l.Repos)
	}
	if len(l.Hosts) > 0 {
		var hosts []string
		for _, h := range l.Hosts {
			if name := s.named(h); name != h {
				h = name + " (" + h + ")"
			}
			hosts = append(hosts, h)
		}
		where = ", at " + and(hosts)
	}
	if l.Access == "read" {
		out.Can = append(out.Can, "Read "+what+where+".")
		out.Cannot = append(out.Cannot, "Push, or change anything.")
	} else {
		out.Can = append(out.Can, "Read and push to "+what+where+".")
	}
	if len(l.Repos) > 0 {
		out.Cannot = append(out.Cannot, "Use any other repository.")
	}
	out.Only = only(l)
	out.All = len(l.Repos) == 0 && l.Access != "read"
	out.Cannot = append(out.Cannot, "Make passes, or see or change your passes and connections.")
	return out
}

func only(l api.PassLimits) []string {
	var out []string
	if len(l.Sources) > 0 {
		out = append(out, "Of course content, only "+and(l.Sources)+".")
	}
	if len(l.Servers) > 0 {
		var names []string
		for _, item := range l.Servers {
			names = append(names, serverWords(item))
		}
		out = append(out, "Only while "+and(names)+" runs.")
	}
	if len(l.Addresses) > 0 {
		out = append(out, "Only from "+and(l.Addresses)+".")
	}
	if l.Uses == 1 {
		out = append(out, "Once only.")
	} else if l.Uses > 1 {
		out = append(out, "At most "+strconv.Itoa(l.Uses)+" times, counted together with all passes that are narrowed from it.")
	}
	if l.NotBefore != nil {
		out = append(out, "Not before "+l.NotBefore.UTC().Format("2006-01-02 15:04")+" UTC.")
	}
	return out
}

// serverWords reads NAME@START.
func serverWords(item string) string {
	name, _, _ := strings.Cut(item, "@")
	if name == "" {
		return "your default server"
	}
	return "your server " + name
}

func and(list []string) string {
	switch n := len(list); n {
	case 0:
		return ""
	case 1:
		return list[0]
	default:
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
}

// passSummary puts what a pass was limited to into words.
func (s *Server) passSummary(p api.Pass) summary {
	l, rest := readLimits(p.Limits)
	out := s.summary(l)
	out.Other = rest
	if p.Until == nil {
		out.Never = true
	} else {
		out.Until = *p.Until
	}
	return out
}

// readLimits reads the limits that the service itself writes into passes, each
// of a kind at most once (doc/passes.md has the list). The ends are left out,
// since the list of passes has them. What is left over is returned as it stands.
func readLimits(texts []string) (l api.PassLimits, rest []string) {
	seen := map[string]bool{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if name == "expires" {
			continue
		}
		if !ok || seen[name] || value == "" || !readLimit(&l, name, value) {
			rest = append(rest, text)
			continue
		}
		seen[name] = true
	}
	return l, rest
}

func readLimit(l *api.PassLimits, name, value string) bool {
	list := strings.Split(value, ",")
	switch name {
	case "dp:access":
		if daypass.ParseAccess(value) == daypass.NoAccess {
			return false
		}
		l.Access = value
	case "dp:host":
		l.Hosts = list
	case "dp:repo":
		l.Repos = list
	case "dp:source":
		l.Sources = list
	case "dp:server":
		l.Servers = list
	case "dp:address":
		l.Addresses = list
	case "dp:uses":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return false
		}
		l.Uses = n
	case "not_before":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return false
		}
		t := time.Unix(n, 0).UTC()
		l.NotBefore = &t
	default:
		return false
	}
	return true
}
