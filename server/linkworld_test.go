package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

const labSource = "drive:drive.google.com/1AbCdEfGhIjKl"

// linkParts are a world's: a teacher's links, and two sources behind them.
func (w *world) linkParts() LinkParts {
	changed := func(what string, ask LinkAsk, name string) (api.Link, error) {
		w.note("%s %s", what, name)
		if name == "taken" {
			return api.Link{}, &Refusal{Problem: &daypass.Problem{Code: "DP-730", What: "the name taken is taken", Next: "Choose another.", Kind: daypass.ErrUsage}}
		}
		l := w.links()[0]
		l.Name = name
		if ask.Title != nil {
			l.Title = *ask.Title
		}
		if ask.Paused != nil && *ask.Paused {
			l.State = "paused"
		}
		if ask.Until != nil {
			l.Until = *ask.Until
		}
		w.mu.Lock()
		w.linkAsks = append(w.linkAsks, ask)
		w.mu.Unlock()
		return l, nil
	}
	return LinkParts{
		Links:     func(context.Context, daypass.Caller) ([]api.Link, error) { return w.links(), nil },
		LinkTerms: w.linkTerms,
		Link: func(_ context.Context, c daypass.Caller, name, _ string) (api.Link, error) {
			for _, l := range w.links() {
				if l.Name == name {
					return l, nil
				}
			}
			return api.Link{}, &Refusal{Problem: &daypass.Problem{Code: "DP-723", What: "there is no such link, or it is not for you", Kind: daypass.ErrRefused}}
		},
		MakeLink: func(_ context.Context, c daypass.Caller, ask LinkAsk) (api.Link, error) {
			return changed("make-link "+c.User.Name, ask, ask.Name)
		},
		EditLink: func(_ context.Context, c daypass.Caller, name string, ask LinkAsk) (api.Link, error) {
			return changed("edit-link "+c.User.Name, ask, name)
		},
		CopyLink: func(_ context.Context, c daypass.Caller, name string, ask LinkAsk) (api.Link, error) {
			return changed("copy-link "+c.User.Name+" "+name, ask, ask.Name)
		},
		CopyLinks: func(_ context.Context, c daypass.Caller, ask CopiesAsk) (out []api.Link, err error) {
			said := "copy-links " + c.User.Name
			for _, one := range ask.Copies {
				l := w.links()[0]
				l.Name = one.Name
				out, said = append(out, l), said+" "+one.Like+" "+one.Name
			}
			w.note("%s", said)
			return out, nil
		},
		PullFailed: func(_ context.Context, c daypass.Caller, name, code, _ string) error {
			w.note("pull-failed %s %s %s", c.User.Name, name, code)
			return nil
		},
		EndLink: func(_ context.Context, c daypass.Caller, name, _ string) error {
			w.note("end-link %s %s", c.User.Name, name)
			return nil
		},
		TestSource: func(_ context.Context, c daypass.Caller, s daypass.Source, _ string) (api.SourceTest, error) {
			w.note("test %s", s)
			if strings.HasSuffix(s.ID, "private") {
				return api.SourceTest{}, &Refusal{Problem: &daypass.Problem{
					Code: "DP-734", What: w.name("this folder is not shared yet with the account that reads for you"), Next: w.name("In Drive, share it with ph142@course.iam.gserviceaccount.com as a viewer, and test again."), Kind: daypass.ErrRefused,
				}}
			}
			if s.Path == "nowhere" {
				return api.SourceTest{}, &Refusal{Problem: &daypass.Problem{Code: "DP-752", What: "the source can be read, but has no folder " + w.name("“nowhere”"), Kind: daypass.ErrRefused,
					Next: "There is “" + w.name("week1") + "”, “Vorlesungsmitschriften und Begleitmaterialien” and 3 more: give git:github.com/tidal-lab/teaching-materials-of-the-course-2026@main#labs/Vorlesungsmitschriften%20und%20Begleitmaterialien as the source for the first of these, or git:github.com/tidal-lab/teaching-2026 for all of it."}}
			}
			return api.SourceTest{OK: true, Source: s.String(), Title: w.name("Lab 1: tides"), Reads: w.name("read as ph142@course.iam.gserviceaccount.com")}, nil
		},
		BrowseSource: func(_ context.Context, c daypass.Caller, s daypass.Source, _ string) (api.SourceFiles, error) {
			w.note("browse %s", s)
			return api.SourceFiles{Files: []api.SourceFile{
				{Path: w.name("start here.ipynb"), Size: 812}, {Path: "data/tides.csv", Size: 90_000}, {Path: "data/" + w.name("buoys") + "/b1.csv", Size: 1}, {Path: "form", Size: -1, Skip: w.name("a form cannot be exported")},
			}, Complete: true}, nil
		},
		AsStudent: w.asStudent, Pick: w.pick, ReadPaste: w.readPaste,
	}
}

func (w *world) asStudent(_ context.Context, c daypass.Caller, name, _ string) (api.StudentView, error) {
	w.note("student %s", name)
	switch name {
	case "ph142-lab3":
		return api.StudentView{Own: true, Files: []api.SourceFile{}}, nil
	case "ph142-lab4":
		return api.StudentView{}, &Refusal{Problem: &daypass.Problem{Code: "DP-727", What: "what the link ph142-lab4 leads to cannot be read any more", Next: "Ask whoever teaches the course.", Kind: daypass.ErrRefused}}
	}
	return api.StudentView{Files: []api.SourceFile{
		{Path: w.name("start here.ipynb"), Size: 812}, {Path: "data/tides.csv", Size: 90_000}, {Path: "data/" + w.name("video.mp4"), Size: 3 << 30, Skip: w.name("it is larger than 100 MB")}, {Path: "form", Size: -1, Skip: w.name("a form cannot be exported")},
	}, Complete: true}, nil
}

// pick offers a folder, courses and repositories; at one host nothing, since it is not
// connected, and at one since it does not answer.
func (w *world) pick(_ context.Context, c daypass.Caller, _ string) ([]api.Offer, error) {
	w.note("pick %s", c.User.Name)
	if c.User.Name == "bob" {
		return nil, &Refusal{Problem: &daypass.Problem{Code: "DP-729", What: "you may not make links here", Next: "Ask the hub's admins.", Kind: daypass.ErrRefused}}
	}
	repos := []api.OfferedSource{{Source: "git:github.com/tidal-lab/ocean-models", Words: "tidal-lab/ocean-models", Note: "public"}}
	for n := range 24 {
		name := fmt.Sprintf("tidal-lab/teaching-%d", 2003+n)
		repos = append(repos, api.OfferedSource{Source: "git:github.com/" + name, Words: w.name(name)})
	}
	return []api.Offer{
		{Kind: "drive", Host: "drive.google.com", Sources: []api.OfferedSource{{Source: labSource, Words: w.name("“Lab 1: tides” in Google Drive"), Note: w.name("read as ph142@course.iam.gserviceaccount.com")}}},
		{Kind: "canvas", Host: "canvas.example.edu", Sources: []api.OfferedSource{
			{Source: "canvas:canvas.example.edu/courses/71", Words: w.name("“Physics 142: Oceans and tides”"), Note: w.name("PH142-F26")}, {Source: "canvas:canvas.example.edu/courses/88", Words: "“Physics 143”", Note: "PH143-S27, not published yet"},
		}},
		{Kind: "git", Host: "github.com", Sources: repos, More: true},
		{Kind: "git", Host: "github.example.edu:8443", Connect: "github.example.edu:8443", Code: "DP-816", Why: "github.example.edu:8443 is not connected yet", Next: "Connect it to choose from what you have there, or paste an address."},
		{Kind: "canvas", Host: "canvas.elsewhere.example", Code: "DP-815", Why: w.name("canvas.elsewhere.example gives no access at the moment: it does not answer, or answers with errors"), Next: "Try again in a minute, or paste an address."},
	}, nil
}

func (w *world) linkTerms(_ context.Context, c daypass.Caller) (api.LinkTerms, error) {
	if c.User.Name == "bob" {
		return api.LinkTerms{Why: "you may not make links here"}, nil
	}
	return api.LinkTerms{
		May: true, Groups: []string{w.name("ph142"), "ph142-staff"}, Everybody: true, Days: 180,
		Share: []api.ShareAddress{{Account: "ph142", Address: w.name("ph142@course.iam.gserviceaccount.com")}}, Hosts: []string{"github.com"},
	}, nil
}

func (w *world) readPaste(_ context.Context, _ daypass.Caller, text string) ([]Pasted, error) {
	if s, ok := daypass.ParseSource(text); ok {
		words := "Google Drive " + s.ID
		if s.Kind == daypass.KindGit {
			words = s.Host + "/" + s.ID
		} else if s.Kind == daypass.KindCanvas {
			words = "Canvas " + s.ID
		}
		return []Pasted{{Source: s, Words: w.name(words), Why: "it is written as the service writes it"}}, nil
	}
	drive := func(id string) []Pasted {
		return []Pasted{{Source: daypass.Source{Kind: "drive", Host: "drive.google.com", ID: id}, Words: w.name("Google Drive " + id), Why: "it is an address of Google Drive"}}
	}
	switch {
	case strings.Contains(text, "drive.google.com/drive/folders/"):
		return drive(text[strings.LastIndexByte(text, '/')+1:]), nil
	case strings.Contains(text, "github.com/"):
		git := func(ref, path string) Pasted {
			s := daypass.Source{Kind: "git", Host: "github.com", ID: "tidal-lab/teaching-2026", Ref: ref, Path: path}
			return Pasted{Source: s, Words: w.name("the folder " + path + " of github.com/tidal-lab/teaching-2026, " + ref), Why: "it is a page of GitHub's"}
		}
		return []Pasted{git("main", "labs/week1"), git("main/labs", "week1")}, nil
	}
	return nil, &daypass.Problem{Code: "DP-761", What: "that is no address of content", Why: w.name("it names no host"), Next: "Copy the address from your browser.", Kind: daypass.ErrUsage}
}

func (w *world) links() []api.Link {
	at := func(d time.Duration) *time.Time { t := w.clock().Add(d).UTC(); return &t }
	const days = 24 * time.Hour
	return []api.Link{
		{
			Name: "ph142-lab1", Title: w.name("Lab 1: tides"), Source: labSource, Words: w.name("Google Drive 1AbCdEfGhIjKl"), Folder: w.name("lab1"), Open: w.name("start here.ipynb"), App: "lab", Audience: w.name("ph142"),
			Until: *at(90 * days), State: "live", Maker: w.name("ada"), Mine: true, SourceTitle: true, Pulls: 412, Pulled: at(-20 * time.Minute), Failures: 2, Failed: at(-26 * time.Hour), Failure: "DP-727",
		},
		{Name: "ph142-lab2", Source: "git:github.com/tidal-lab/teaching-2026@main#labs/week2", Words: w.name("the folder labs/week2 of github.com/tidal-lab/teaching-2026, main"), Audience: api.Everybody, Public: true, Until: *at(5 * days), State: "live", EndsSoon: true, Maker: w.name("ada"), Mine: true},
		{Name: "ph142-lab3", Source: "git:github.com/tidal-lab/lab3-{github}", Words: "github.com/tidal-lab/lab3-{github}", Audience: "ph142", Template: true, Accept: "https://classroom.github.com/a/tides-3", Until: *at(90 * days), State: "paused", Maker: "ada", Mine: true},
		{Name: "ph142-exam", Source: labSource, Words: "Google Drive 1AbCdEfGhIjKl", Audience: "ph142", From: at(30 * days), Until: *at(31 * days), State: "early", Maker: "ada", Mine: true},
		{Name: "ph142-lab4", Source: labSource, Words: "Google Drive 1AbCdEfGhIjKl", Audience: "ph142", Until: *at(90 * days), State: "lost", Why: w.name("what it leads to could not be read on 2026-11-21 09:00 UTC"), Maker: "ada", Mine: true, Failures: 3, Failed: at(-time.Hour), Failure: "DP-727"},
		{Name: "ph142-spring", Title: w.name("Spring term"), Source: labSource, Words: "Google Drive 1AbCdEfGhIjKl", Audience: "ph142-spring", Until: *at(-100 * days), State: "over", Maker: "ada", Mine: true, Pulls: 3811},
		{Name: "ph142-old", Source: labSource, Words: "Google Drive 1AbCdEfGhIjKl", Audience: "ph142", Until: *at(10 * days), State: "ended", Why: w.name("its maker ended it"), Maker: "ada", Mine: true},
	}
}
