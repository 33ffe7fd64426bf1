package main_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/shipping"
)

// TestStories runs the journeys in testdata with the real programs, the real
// git and a world of stand-ins for each story.
func TestStories(t *testing.T) {
	bin := programs(t)
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: func(e *testscript.Env) error { return setUp(t, e, bin) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"approve": cmdApprove, "deny": cmdDeny, "live": cmdLive, "switch": cmdSwitch, "world": cmdWorld,
			"nosecret": cmdNoSecret, "requests": cmdRequests, "fault": cmdFault, "code": cmdCode, "later": cmdLater,
			"install": cmdInstall, "issue": cmdIssue, "broker": cmdBroker, "took": cmdTook,
			"publish": cmdPublish, "asked": cmdAsked, "sources": cmdSources, "drive": cmdDrive, "reached": cmdReached,
		},
		RequireUniqueNames: true,
		Deadline:           time.Now().Add(5 * time.Minute),
	})
}

// shipment is built once for all tests of a run.
var shipment = shipping.New("daypass", "daypassd", "git-credential-daypass")

func TestMain(m *testing.M) { os.Exit(shipment.Run(m)) }

// programs returns a folder of the test's own with what users run, as it is installed.
func programs(t testing.TB) string {
	t.Helper()
	dir := shipment.Own(t, "daypass", "git-credential-daypass")
	for name, program := range map[string]string{
		"gh-scoped-creds": "daypass", "github-app-user-auth": "daypass", "gitpuller": "daypass", "repoproviders": "daypass", "git-credential-github-app": "git-credential-daypass",
	} {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A stage is what the commands of one story work on.
type stage struct {
	mu    sync.Mutex
	world *fake.World
	skew  time.Duration // the stand-ins' clock is ahead by this

	broker *broker
	seen   int // how often a path was asked for, by cmdAsked

	library *library
	reached map[string]int // how often a host was asked, by cmdReached
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.skew)
}

func setUp(t testing.TB, e *testscript.Env, bin string) error {
	st := &stage{}
	dir := filepath.Join(e.WorkDir, ".world")
	for _, d := range []string{dir, filepath.Join(e.WorkDir, "home"), filepath.Join(e.WorkDir, "wallet")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	w, err := fake.NewWorld(fake.WorldConfig{Dir: dir, Now: st.now, Switches: fake.Switches{Interval: 1, RevokeEndpoint: true}})
	if err != nil {
		return err
	}
	e.Defer(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	st.world = w
	if st.broker, err = newBroker(t, w.Local, strings.TrimPrefix(w.URL, "http://"), w.Recorder.URL); err != nil {
		return err
	}
	e.Defer(func() { st.broker.down() })
	e.Values["stage"] = st
	e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for k, v := range map[string]string{
		"BIN": bin, "HOME": filepath.Join(e.WorkDir, "home"), "DAYPASS_RUNTIME_DIR": filepath.Join(e.WorkDir, "wallet"),
		"USER": "researcher", "TZ": "UTC", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
		"GIT_CONFIG_SYSTEM": filepath.Join(e.WorkDir, "gitconfig-system"), "GIT_TERMINAL_PROMPT": "0",
		"RECORDER": w.Recorder.URL, "URL": w.URL, "GITHUB_URL": w.URL, "HOSTPORT": strings.TrimPrefix(w.URL, "http://"),
		"BROKER": st.broker.base, "HUB_TOKEN": hubToken,
		"DAYPASS_CLIENT_ID": fake.CampusApp, "FOREVER_APP": fake.CampusForeverApp, "OFF_APP": fake.CampusOffApp, "OAUTH_APP": fake.CampusOAuthApp,
	} {
		e.Setenv(k, v)
	}
	for _, kv := range w.Env() {
		k, v, _ := strings.Cut(kv, "=")
		e.Setenv(k, v)
	}
	return nil
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value("stage").(*stage) }

// host is the stand-in of a name in a story: local, com, ghe or enterprise.
func host(ts *testscript.TestScript, name string) (*fake.GitHub, string) {
	w := stageOf(ts).world
	switch name {
	case "local":
		return w.Local, w.URL
	case "com":
		return w.Com, "https://" + fake.ComHost
	case "ghe":
		return w.GHE, "https://" + fake.GHEHost
	case "enterprise":
		return w.Enterprise, "https://" + fake.EnterpriseHost
	}
	ts.Fatalf("no host %q", name)
	return nil, ""
}

// pending waits for a code that somebody asked for.
func pending(ts *testscript.TestScript, g *fake.GitHub) string {
	for range 1200 {
		if codes := g.PendingCodes(); len(codes) > 0 {
			return codes[len(codes)-1]
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("nobody asked for a code within half a minute")
	return ""
}

// approve HOST USER: the person types the code on the page and authorizes.
func cmdApprove(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: approve HOST USER")
	}
	g, origin := host(ts, args[0])
	onPage(ts, origin, pending(ts, g), args[1], "authorize")
}

// deny HOST USER: the person presses Cancel.
func cmdDeny(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: deny HOST USER")
	}
	g, origin := host(ts, args[0])
	onPage(ts, origin, pending(ts, g), args[1], "cancel")
}

func onPage(ts *testscript.TestScript, origin, code, user, action string) {
	browser := stageOf(ts).world.Client()
	form := url.Values{"user_code": {code}, "login": {user}, "action": {action}}
	for _, path := range []string{"/login/device", "/login/device/authorize"} {
		res, err := browser.PostForm(origin+path, form)
		ts.Check(err)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			ts.Fatalf("%s answered %s", path, res.Status)
		}
	}
}

// code HOST: waits until a code is shown, without deciding.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	g, _ := host(ts, args[0])
	pending(ts, g)
}

// live HOST N: so many tokens are alive; with "refresh" so many refresh tokens.
func cmdLive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: live HOST N [refresh]")
	}
	g, _ := host(ts, args[0])
	n := len(g.LiveTokens())
	if len(args) == 3 {
		n = len(g.LiveRefreshTokens())
	}
	if strconv.Itoa(n) != args[1] {
		ts.Fatalf("%d tokens are alive at %s, want %s", n, args[0], args[1])
	}
}

// switch HOST NAME VALUE sets one of the stand-in's switches.
func cmdSwitch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: switch HOST NAME VALUE")
	}
	g, _ := host(ts, args[0])
	d, derr := time.ParseDuration(args[2])
	on := args[2] == "true"
	g.Set(func(s *fake.Switches) {
		switch args[1] {
		case "TokenLife":
			ts.Check(derr)
			s.TokenLife = d
		case "CodeLife":
			ts.Check(derr)
			s.CodeLife = d
		case "RevokeTiesPair":
			s.RevokeTiesPair = on
		case "RevokeEndpoint":
			s.RevokeEndpoint = on
		case "IgnoreRepositoryID":
			s.IgnoreRepositoryID = on
		case "AutoApprove":
			s.AutoApprove = args[2]
		default:
			ts.Fatalf("no switch %q", args[1])
		}
	})
}

// fault HOST PATH KIND: requests for the path fail from now; "fault HOST none".
func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	g, _ := host(ts, args[0])
	if args[1] == "none" {
		g.ClearFaults()
		return
	}
	kinds := map[string]fake.Fault{
		"html502": {Kind: fake.FaultHTML502}, "reset": {Kind: fake.FaultReset},
		"hang": {Kind: fake.FaultHang}, "redirect": {Kind: fake.FaultRedirect, URL: stageOf(ts).world.Recorder.URL},
	}
	f, ok := kinds[args[2]]
	if !ok {
		ts.Fatalf("no fault %q", args[2])
	}
	g.Fault(fake.PathIs(args[1]), f)
}

// later D moves the stand-ins' clock.
func cmdLater(ts *testscript.TestScript, neg bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	st := stageOf(ts)
	st.mu.Lock()
	st.skew += d
	st.mu.Unlock()
}

// install HOST INSTALLATION REPOSITORY-ID chooses one more repository.
func cmdInstall(ts *testscript.TestScript, neg bool, args []string) {
	g, _ := host(ts, args[0])
	id, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	g.Update(func(s *fake.Seed) {
		for i := range s.Installations {
			in := &s.Installations[i]
			if in.ID != id {
				continue
			}
			switch args[2] {
			case "suspend":
				in.SuspendedAt = time.Now()
			case "all":
				in.All = true
			default:
				repo, err := strconv.ParseInt(args[2], 10, 64)
				ts.Check(err)
				in.Repos = append(in.Repos, repo)
			}
		}
	})
}

// issue HOST APP USER VAR [SCOPE…]: the variable holds a token, as if the person
// had authorized the App somewhere else.
func cmdIssue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: issue HOST APP USER VAR [SCOPE…]")
	}
	g, _ := host(ts, args[0])
	access, _, err := g.Issue(args[1], args[2], 0, args[4:]...)
	ts.Check(err)
	ts.Setenv(args[3], access)
}

// requests HOST PATH N: the path was asked for so often.
func cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	g, _ := host(ts, args[0])
	if n := g.Count(args[1]); strconv.Itoa(n) != args[2] {
		ts.Fatalf("%s was asked for %d times, want %s", args[1], n, args[2])
	}
}

// world recorder: nothing arrived at the host that should get nothing.
func cmdWorld(ts *testscript.TestScript, neg bool, args []string) {
	if got := stageOf(ts).world.Recorder.Heard(); len(secrets.FindAll(got, -1)) > 0 || strings.Contains(string(got), hubToken) {
		ts.Fatalf("a token arrived where none belongs")
	}
}

var secrets = regexp.MustCompile(`(gh[oprsu]_|github_pat_)[A-Za-z0-9]{20,}`)

// nosecret: no token in any file of the story but the wallet and the world, nor
// in the output of the command before. Further arguments are files to leave out.
func cmdNoSecret(ts *testscript.TestScript, neg bool, args []string) {
	work := ts.Getenv("WORK")
	except := append([]string{"wallet", ".world"}, args...)
	err := filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(work, path)
		for _, x := range except {
			if rel == x {
				if d.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), hubToken) {
			return fmt.Errorf("%s holds the hub's token", rel)
		}
		if m := secrets.Find(text); m != nil {
			return fmt.Errorf("%s holds a token (%s…)", rel, m[:8])
		}
		return nil
	})
	ts.Check(err)
	for _, name := range []string{"stdout", "stderr"} {
		if secrets.Match([]byte(ts.ReadFile(name))) {
			ts.Fatalf("%s shows a token", name)
		}
	}
}
