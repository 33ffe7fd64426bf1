package server

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A timeline is the drawing of what was used from which server in a week, and
// the table that says the same.
type timeline struct {
	Width, Height int
	Days          []tick
	Lanes         []lane
	Uses          []use
	More          int // servers that are not drawn
	Title, Says   string
}

type tick struct {
	X, Next int
	Text    string
}

type lane struct {
	Server string
	Y      int // of its line
	TextY  int
	Marks  []mark
}

// A mark is one use; its shape says what it was: a disc for reading, a square
// for writing, a cross for a refusal.
type mark struct {
	X     int
	Shape string // "read", "write", "refused"
	Text  string
}

// A use is a line of the table: one repository from one server.
type use struct {
	Server, Host, Repo string
	Read, Write, No    int
	Last               time.Time
}

const (
	drawWidth = 340
	drawLeft  = 8
	drawTop   = 26
	laneHigh  = 40
	maxLanes  = 8
	maxUses   = 100
	markSlots = 7 * 12 // one mark of a kind for two hours
)

// draw makes the drawing of the week before now.
func draw(lines []Activity, now time.Time) timeline {
	start := now.Add(-week)
	t := timeline{Width: drawWidth}
	usable := drawWidth - 2*drawLeft
	at := func(x time.Time) int { return drawLeft + int(int64(usable)*int64(x.Sub(start))/int64(week)) }
	for d := start.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour); d.Before(now); d = d.Add(24 * time.Hour) {
		t.Days = append(t.Days, tick{X: at(d), Next: min(at(d.Add(24*time.Hour)), drawWidth-drawLeft), Text: d.Format("Mon 2")})
	}
	if n := len(t.Days); n > 0 && t.Days[n-1].Next-t.Days[n-1].X < 32 {
		t.Days[n-1].Text = now.UTC().Format("2") // no room for more
		if t.Days[n-1].Next-t.Days[n-1].X < 14 {
			t.Days[n-1].Text = ""
		}
	}
	lanes := map[string]int{}
	uses := map[[3]string]int{}
	drawn := map[string]bool{}
	for _, l := range lines {
		if l.Kind != "credential" && l.Kind != "refusal" || l.At.Before(start) || l.At.After(now) {
			continue
		}
		shape := shapeOf(l)
		t.count(uses, l, shape)
		i, ok := lanes[l.Server]
		if !ok {
			i = len(t.Lanes)
			lanes[l.Server] = i
			if i >= maxLanes {
				t.More++
				lanes[l.Server] = -1
				i = -1
			} else {
				t.Lanes = append(t.Lanes, lane{Server: clean(l.Server, 36), TextY: drawTop + i*laneHigh + 14, Y: drawTop + i*laneHigh + 28})
			}
		}
		slot := fmt.Sprint(i, shape, int64(l.At.Sub(start))*markSlots/int64(week))
		if i < 0 || drawn[slot] {
			continue
		}
		drawn[slot] = true
		t.Lanes[i].Marks = append(t.Lanes[i].Marks, mark{X: at(l.At), Shape: shape, Text: words(l, shape)})
	}
	t.Height = drawTop + len(t.Lanes)*laneHigh + 8
	t.finish()
	return t
}

func shapeOf(l Activity) string {
	switch {
	case l.Outcome != "ok":
		return "refused"
	case l.Access == "write":
		return "write"
	}
	return "read"
}

func words(l Activity, shape string) string {
	verb := map[string]string{"read": "read", "write": "may write", "refused": "refused or failed"}[shape]
	return clean(l.Repo, 80) + ": " + verb + ", " + l.At.UTC().Format("2006-01-02 15:04 MST")
}

func (t *timeline) count(uses map[[3]string]int, l Activity, shape string) {
	k := [3]string{l.Server, l.Host, l.Repo}
	i, ok := uses[k]
	if !ok {
		i = len(t.Uses)
		uses[k] = i
		t.Uses = append(t.Uses, use{Server: l.Server, Host: l.Host, Repo: l.Repo})
	}
	u := &t.Uses[i]
	switch shape {
	case "read":
		u.Read++
	case "write":
		u.Write++
	default:
		u.No++
	}
	if l.At.After(u.Last) {
		u.Last = l.At
	}
}

// finish sorts the table and says in a sentence what the drawing shows.
func (t *timeline) finish() {
	slices.SortStableFunc(t.Uses, func(a, b use) int { return b.Last.Compare(a.Last) })
	servers, repos, no := map[string]bool{}, map[string]bool{}, 0
	for _, u := range t.Uses {
		servers[u.Server], repos[u.Host+"/"+u.Repo] = true, true
		no += u.No
	}
	t.Uses = t.Uses[:min(len(t.Uses), maxUses)]
	t.Title = "What was used in the last 7 days"
	var parts []string
	for _, p := range []struct {
		n         int
		one, many string
	}{{len(repos), "repository", "repositories"}, {len(servers), "server", "servers"}} {
		word := p.many
		if p.n == 1 {
			word = p.one
		}
		parts = append(parts, fmt.Sprint(p.n, " ", word))
	}
	t.Says = strings.Join(parts, " from ")
	if no > 0 {
		t.Says += fmt.Sprintf("; %d refused or failed", no)
	}
	t.Says += ". The table below says the same."
}
