package drive_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/provider/google"
	"github.com/daypass-dev/daypass/provider/providertest"
	"github.com/daypass-dev/daypass/provider/readonly"
)

const (
	account = deposittest.Account
	other   = "cs50@campus-hub.iam.gserviceaccount.com"
	rootID  = "root-folder-1"
)

var serviceKey = sync.OnceValue(deposittest.NewKey)

// A bench is a Drive, an account that reads a folder of it, and the provider.
type bench struct {
	*fake.Drive
	read   *drive.Drive
	tokens *google.Tokens
}

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindDrive, Host: drive.Host, ID: id}
}

// seedOf is a folder with these files, shared with the account.
func seedOf(files []providertest.File) (fake.DriveSeed, map[string][]string) {
	seed := fake.DriveSeed{
		Accounts: []fake.ServiceAccount{{Email: account, Keys: serviceKey().Keys()}, {Email: other}},
		Files:    []fake.DriveFile{{ID: rootID, Name: "PH 142", Type: fake.FolderType, Shared: []string{account}}},
	}
	ids := deposittest.Plant(rootID, files, func(n, depth int, name, in string) string {
		id := fmt.Sprintf("folder-%06d-%d", n, depth)
		seed.Files = append(seed.Files, fake.DriveFile{ID: id, Name: name, Type: fake.FolderType, Parent: in})
		return id
	}, func(n int, f providertest.File, in string) string {
		id := fmt.Sprintf("file-%06d", n)
		seed.Files = append(seed.Files, fake.DriveFile{ID: id, Name: f.Parts[len(f.Parts)-1], Parent: in, Text: f.Text, NoDownload: f.Locked})
		return id
	})
	return seed, ids
}

type quick struct{}

func (quick) Wait(ctx context.Context, _ int) error { return ctx.Err() }
func (quick) Slow(time.Duration)                    {}

func newBench(t *testing.T, seed fake.DriveSeed, sw fake.DriveSwitches, change func(*drive.Config)) *bench {
	t.Helper()
	b := &bench{Drive: fake.NewDrive(fake.DriveConfig{Seed: seed, Switches: sw})}
	tokens, err := google.Key(google.Config{Base: fake.Transport(b.Drive)}, serviceKey().File)
	if err != nil {
		t.Fatal(err)
	}
	b.tokens = tokens
	c := drive.Config{
		Token: tokens.Token, Renew: tokens.Renew, Email: tokens.Email, Pace: quick{}, Patience: 2 * time.Minute, Base: fake.Transport(b.Drive),
		Retry: readonly.Retry{Jitter: func(time.Duration) time.Duration { return 0 }},
	}
	if change != nil {
		change(&c)
	}
	if b.read, err = drive.New(c); err != nil {
		t.Fatal(err)
	}
	return b
}

// api matches requests for content, and not those for tokens.
func api(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/drive/") }

func (b *bench) secrets() []daypass.Secret { return deposittest.Secrets(b.Tokens()) }

func fixture(sw fake.DriveSwitches, change func(*drive.Config), alter func(*fake.DriveSeed)) func(*testing.T) providertest.ContentsFixture {
	return func(t *testing.T) providertest.ContentsFixture {
		files := append(providertest.Tree(), providertest.File{Parts: []string{"lab1", "locked.pdf"}, Text: "exam", Locked: true})
		seed, ids := seedOf(files)
		seed.Files = append(seed.Files, fake.DriveFile{ID: "hidden-folder", Name: "CS 50", Type: fake.FolderType, Shared: []string{other}})
		if alter != nil {
			alter(&seed)
		}
		b := newBench(t, seed, sw, change)
		return providertest.ContentsFixture{
			Contents: b.read, Source: source(rootID), Files: files, Missing: source("missing-folder"), Hidden: source("hidden-folder"),
			Odd: []daypass.Source{
				source(""), source("short"), source("..........."), source("a/b/c/d/e/f/g"), source("' or '1' in parents"), source("id?alt=media&x=1"), source(strings.Repeat("x", 101)), source("line\nbreak-id"),
				{Kind: daypass.KindDrive, Host: "evil.example", ID: rootID}, {Kind: daypass.KindDrive, Host: drive.Host, ID: rootID, Ref: "a/b,c/d"},
			},
			Hosts: []string{fake.DriveHost}, Tokens: []string{fake.TokenHost}, Secrets: b.secrets, Asked: func() []providertest.Asked { return deposittest.Asked(b) },
			Change: func(parts []string, text string) {
				b.Edit(ids[strings.Join(parts, "\x00")][0], func(f *fake.DriveFile) { f.Text = text })
			},
			Break: deposittest.Breaks(b, api, fake.DriveRefusal(http.StatusTooManyRequests, "rateLimitExceeded", 90*time.Second), fake.DriveRefusal(http.StatusForbidden, "userRateLimitExceeded", 0)),
		}
	}
}

// TestContract holds the provider to the contract: with a folder that is shared, with
// one of a shared drive, with pages of two files, and where a service has each look
// prove that the account still reads.
func TestContract(t *testing.T) {
	team := func(seed *fake.DriveSeed) {
		seed.Drives = []fake.SharedDrive{{ID: "shared-drive-1", Name: "Campus", Members: []string{account}}}
		for n := range seed.Files {
			if f := &seed.Files[n]; f.ID != "hidden-folder" {
				f.DriveID = "shared-drive-1"
			}
		}
		seed.Files[0].Parent = "shared-drive-1"
	}
	for name, fresh := range map[string]func(*testing.T) providertest.ContentsFixture{
		"shared folder": fixture(fake.DriveSwitches{}, nil, nil),
		"shared drive":  fixture(fake.DriveSwitches{}, nil, team),
		"short pages":   fixture(fake.DriveSwitches{ShortPages: 2}, nil, nil),
		"verified":      fixture(fake.DriveSwitches{}, func(c *drive.Config) { c.Verify = 5 * time.Minute }, nil),
	} {
		t.Run(name, func(t *testing.T) { providertest.RunContents(t, synctest.Test, fresh) })
	}
}

// TestPaceGivesUp: who would wait in vain does not wait, and holds nobody else up.
func TestPaceGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := drive.NewPace(600, time.Now)
		p.Slow(time.Hour)
		began := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		if err := p.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := p.Wait(t.Context(), 300); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v after %v: what was not spent is there", err, time.Since(began))
		}
	})
}
