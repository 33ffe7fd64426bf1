package canvas_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
	"github.com/daypass-dev/daypass/provider/readonly"
)

const (
	host    = "canvas.example.edu"
	store   = "files.inscloudgate.net"
	teacher = 1
	student = 2
	other   = 3
)

// A bench is a Canvas and somebody who reads it.
type bench struct {
	*fake.Canvas
	read  *canvas.Canvas
	token string
}

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindCanvas, Host: host, ID: id}
}

// seedOf is a course with these files.
func seedOf(context string, files []providertest.File) (fake.CanvasSeed, map[string][]int64) {
	seed := fake.CanvasSeed{
		Users:   []fake.CanvasUser{{ID: teacher, Name: "Tea"}, {ID: student, Name: "Stu"}, {ID: other, Name: "Oth"}},
		Courses: []fake.CanvasCourse{{ID: 42, Name: "PH 142", SIS: "ph142", Teachers: []int64{teacher}, Students: []int64{student}}, {ID: 43, Name: "Bio", Teachers: []int64{other}}},
		Groups:  []fake.CanvasGroup{{ID: 7, Name: "Team 7", Members: []int64{student}}},
		Folders: []fake.CanvasFolder{{ID: 100, Context: context, Name: "course files"}},
	}
	ids := deposittest.Plant(100, files, func(n, depth int, name string, in int64) int64 {
		id := int64(1000 + 10*n + depth)
		seed.Folders = append(seed.Folders, fake.CanvasFolder{ID: id, Context: context, Name: name, Parent: in})
		return id
	}, func(n int, f providertest.File, in int64) int64 {
		id := int64(5000 + n)
		seed.Files = append(seed.Files, fake.CanvasFile{
			ID: id, Folder: in, Name: f.Parts[len(f.Parts)-1], Text: f.Text, Awaits: f.Locked, Unlocks: time.Date(2126, 12, 1, 8, 0, 0, 0, time.UTC),
		})
		return id
	})
	return seed, ids
}

func newBench(t testing.TB, seed fake.CanvasSeed, sw fake.CanvasSwitches, who int64, change func(*canvas.Config)) *bench {
	t.Helper()
	b := &bench{Canvas: fake.NewCanvas(fake.CanvasConfig{Host: host, Seed: seed, Switches: sw})}
	b.as(who, change)
	return b
}

// as makes somebody else read.
func (b *bench) as(who int64, change func(*canvas.Config)) {
	b.token = b.NewToken(who)
	token := daypass.NewSecret(b.token)
	c := canvas.Config{
		Host: host, Token: func(context.Context) (daypass.Secret, error) { return token, nil }, Base: fake.Transport(b.Canvas),
		Retry: readonly.Retry{Jitter: func(time.Duration) time.Duration { return 0 }},
	}
	if change != nil {
		change(&c)
	}
	b.read = canvas.New(c)
}

func (b *bench) secrets() []daypass.Secret { return deposittest.Secrets(b.Secrets()) }

func fixture(context, id string, sw fake.CanvasSwitches) func(*testing.T) providertest.ContentsFixture {
	return func(t *testing.T) providertest.ContentsFixture {
		files := providertest.Tree()
		if strings.HasPrefix(context, "courses/") {
			files = append(files, providertest.File{Parts: []string{"lab1", "later.pdf"}, Text: "exam", Locked: true})
		}
		seed, ids := seedOf(context, files)
		if context == "users/2" {
			seed.Folders = append(seed.Folders, fake.CanvasFolder{ID: 101, Context: context, Parent: 100, Name: "Submissions", ForSubmissions: true}, fake.CanvasFolder{ID: 102, Context: context, Parent: 101, Name: "PH 142"})
			seed.Files = append(seed.Files, fake.CanvasFile{ID: 4000, Folder: 102, Name: "homework.pdf", Text: "handed in"})
		}
		b := newBench(t, seed, sw, student, nil)
		return providertest.ContentsFixture{
			Contents: b.read, Source: source(id), Files: files, Missing: source("courses/999"), Hidden: source("courses/43"), Odd: oddSources(), Replaces: true,
			Hosts: []string{host}, Secrets: b.secrets, Asked: func() []providertest.Asked { return deposittest.Asked(b) }, Break: deposittest.Breaks(b, nil, fake.CanvasBusy(http.StatusTooManyRequests, 90*time.Second), fake.CanvasBusy(http.StatusForbidden, 0)),
			Change: func(parts []string, text string) {
				key := strings.Join(parts, "\x00")
				ids[key][0] = b.Overwrite(ids[key][0], text)
			},
		}
	}
}

func oddSources() []daypass.Source {
	out := []daypass.Source{
		{Kind: daypass.KindCanvas, Host: "evil.example", ID: "courses/42"}, {Kind: daypass.KindCanvas, Host: "sub." + host, ID: "courses/42"}, {Kind: daypass.KindCanvas, Host: host, ID: "courses/42", Ref: "x"},
		{Kind: daypass.KindDrive, Host: host, ID: "courses/42"}, {Kind: daypass.KindCanvas, Host: host, ID: "courses/42", Path: "a/../../b"}, {Kind: daypass.KindCanvas, Host: host, ID: "courses/42", Path: "/a"},
		{Kind: daypass.KindCanvas, Host: host, ID: "courses/42/files/5", Path: "a"},
	}
	for _, id := range []string{
		"", "42", "files", "files/", "files/x", "/files/5", "folders/1/files/2", "files/5/", "users/selffiles/5", "courses", "courses/", "courses/x", "courses/42/", "courses/42/files", "courses/42/files/x", "courses/42/../43", "courses/42?as_user_id=1", "courses/42#x", "courses/-1", "courses/1~2~3",
		"courses/42%2F43", "accounts/1", "users/self/../1", "courses/42\n", "courses/self", "courses/" + strings.Repeat("9", 20), "courses/sis_course_id:a/b",
	} {
		out = append(out, source(id))
	}
	return out
}

// TestContract holds the provider to the contract: with a course, by its number, another
// shard's form of it and the SIS's, a group, a person's own files, short pages, and where
// addresses take the token.
func TestContract(t *testing.T) {
	for name, fresh := range map[string]func(*testing.T) providertest.ContentsFixture{
		"course":       fixture("courses/42", "courses/42", fake.CanvasSwitches{}),
		"SIS":          fixture("courses/42", "courses/sis_course_id:ph142", fake.CanvasSwitches{MaxPage: 100}),
		"group":        fixture("groups/7", "groups/7", fake.CanvasSwitches{}),
		"self":         fixture("users/2", "users/self", fake.CanvasSwitches{}),
		"short pages":  fixture("courses/42", "courses/42", fake.CanvasSwitches{MaxPage: 3}),
		"no verifiers": fixture("courses/42", "courses/42/folders/100", fake.CanvasSwitches{NoVerifiers: true}),
		"folder alone": fixture("courses/42", "folders/100", fake.CanvasSwitches{}),
		"direct":       fixture("courses/42", "courses/42", fake.CanvasSwitches{Direct: true}),
	} {
		t.Run(name, func(t *testing.T) { providertest.RunContents(t, synctest.Test, fresh) })
	}
}
