package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass/fake"
)

const demoHubHelp = `Show a hub's access service at work, in a world that lives on this machine only:
stand-ins for a JupyterHub and for GitHub on loopback addresses, the real access
service, two servers of one user, and the real git. It checks each step.`

// The people of the demo's hub.
const (
	demoUser  = "researcher"
	demoAdmin = "admin"
)

func (s *app) demoHubCommand() *cobra.Command {
	var serve bool
	c := &cobra.Command{
		Use: "hub", Short: "Connect GitHub once, push from every server; what the admin sees and stops", Long: demoHubHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.demoHub(c.Context(), serve) },
	}
	c.Flags().BoolVar(&serve, "serve", false, "leave the hub up and say how to try it by hand")
	return c
}

func (s *app) demoHub(ctx context.Context, serve bool) error {
	h, err := s.newHubDemo(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	if serve {
		return h.stay(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	if err := h.journey(ctx); err != nil {
		return fmt.Errorf("the demo stopped: %w", err)
	}
	return nil
}

// journey is the story. Each step checks what it claims.
func (h *hubDemo) journey(ctx context.Context) error {
	began := time.Now()
	h.say("On this machine only: a stand-in for a JupyterHub at %s, a stand-in for GitHub at", h.hubURL)
	h.say("%s, and the access service, \"daypass serve\", at %s.", h.world.URL, h.url)
	h.say("At the hub the person is %s, at GitHub %s. The App \"campus-push\" is installed on", demoUser, fake.CampusUser)
	h.say("river-lab/data, not on river-lab/paper.")
	for _, part := range []func(context.Context) error{h.before, h.connect, h.work, h.second, h.kept, h.admin, h.after} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	h.say("\nAll of it went as it should, in %.1f s; no token is left alive. Try it yourself: daypass demo hub --serve", time.Since(began).Seconds())
	return nil
}

func (h *hubDemo) repo(name string) string { return h.world.URL + "/river-lab/" + name + ".git" }

func (h *hubDemo) before(ctx context.Context) error {
	h.say("\n1. A server of %s's. Nothing is typed first: git asks daypass, and that the access service\n", demoUser)
	first, err := h.startServer(ctx, "")
	if err != nil {
		return err
	}
	h.one = first
	return inOrder(
		first.step(ctx, want{code: 128, text: h.url + "connect/"}, "", "git", "clone", "--quiet", h.repo("data")),
		first.isFast("git gave up at once, with the page to open, and asked for no password"),
	)
}

func (h *hubDemo) connect(ctx context.Context) error {
	h.say("\n2. Connect: once, in a browser\n")
	b, err := h.connectPages(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if !b.shows("Connected. Push again.") {
		return fmt.Errorf("after the consent the page shows: %s", b.title())
	}
	h.say("     The tab says: Connected. Push again.")
	return nil
}

func (h *hubDemo) work(ctx context.Context) error {
	h.say("\n3. Clone, commit, push\n")
	clone := filepath.Join(h.one.home, "data")
	return inOrder(
		h.one.step(ctx, want{}, "", "git", "clone", "--quiet", h.repo("data")),
		h.change(filepath.Join(clone, "gauges.csv")),
		h.one.step(ctx, want{}, clone, "git", "commit", "--quiet", "--all", "--message", "Add today's level"),
		h.one.step(ctx, want{text: "main"}, clone, "git", "push"),
		h.one.step(ctx, want{text: fake.CampusUser}, clone, "git", "log", "-1", "--format=%h %an <%ae>: %s"),
		h.narrow,
	)
}

// narrow looks at GitHub for what the server has in hand.
func (h *hubDemo) narrow() error {
	narrow := 0
	for _, t := range h.world.Local.LiveTokens() {
		if len(t.Repositories) == 1 {
			narrow++
		}
	}
	if narrow == 0 {
		return errors.New("no token of the server is for one repository only")
	}
	h.say("     (GitHub knows %d token in the server's hands, good for river-lab/data alone)", narrow)
	return nil
}

func (h *hubDemo) second(ctx context.Context) error {
	h.say("\n4. Another server of the same person, just started; and a repository without the App\n")
	gpu, err := h.startServer(ctx, "gpu")
	if err != nil {
		return err
	}
	h.two = gpu
	clone := filepath.Join(gpu.home, "data")
	return inOrder(
		gpu.step(ctx, want{}, "", "git", "clone", "--quiet", h.repo("data")),
		gpu.step(ctx, want{text: "Add today's level"}, clone, "git", "log", "-1", "--format=%h %s"),
		gpu.step(ctx, want{code: 128, text: "[DP-"}, "", "git", "clone", "--quiet", h.repo("paper")),
	)
}

var anyToken = regexp.MustCompile(`gh[oprsu]_[A-Za-z0-9_.-]{16,}`)

// kept looks for tokens in everything that lasts: the homes, the service's
// folder, the servers' environments and the service's log.
func (h *hubDemo) kept(context.Context) error {
	h.say("\n5. What is kept on a disk\n")
	files := 0
	for _, root := range []string{h.one.home, h.two.home, filepath.Join(h.dir, "service")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			if anyToken.Match(text) {
				err = fmt.Errorf("%s holds a token", path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, s := range []*demoServer{h.one, h.two} {
		if anyToken.MatchString(strings.Join(s.env, "\n")) {
			return errors.New("the environment of a server holds a token")
		}
	}
	if anyToken.MatchString(h.log.String()) {
		return errors.New("the access service's log holds a token")
	}
	h.say("   %d files, in both homes, in git's configuration and in the access service's folder: no token in any.", files)
	h.say("   None in the servers' environments, none in the log. The connection is in the store, sealed.")
	return nil
}

// refusalLine is a refusal in the list of events: date, time, event, who, what.
var refusalLine = regexp.MustCompile(`(?m)^\S+ \S+ +([A-Z0-9]{4}-[0-9]+) .* refusal `)

func (h *hubDemo) admin(ctx context.Context) error {
	h.say("\n6. The hub's admin: who got what, why was this refused, and stop it everywhere\n")
	var events string
	if err := h.tell(ctx, &events, want{text: "refusal"}, "events", "--user", demoUser)(); err != nil {
		return err
	}
	refusals := refusalLine.FindAllStringSubmatch(events, -1)
	if refusals == nil {
		return errors.New("no event is a refusal")
	}
	refused := refusals[len(refusals)-1][1]
	return inOrder(
		h.tell(ctx, nil, want{text: "river-lab/"}, "why", refused),
		h.tell(ctx, nil, want{text: fake.CampusUser}, "user", "show", demoUser),
		h.tell(ctx, nil, want{text: demoUser}, "user", "revoke", demoUser),
	)
}

// after checks that what was in the servers' hands is dead, at the host too.
func (h *hubDemo) after(ctx context.Context) error {
	h.say("\n7. Afterwards\n")
	clone := filepath.Join(h.one.home, "data")
	if err := inOrder(
		h.change(filepath.Join(clone, "gauges.csv")),
		h.one.step(ctx, want{}, clone, "git", "commit", "--quiet", "--all", "--message", "Add tomorrow's level"),
		h.one.step(ctx, want{code: 128}, clone, "git", "push"),
		heard(ctx),
		h.one.step(ctx, want{code: 128, text: "ended by an admin"}, clone, "git", "push"),
	); err != nil {
		return err
	}
	h.say("     (GitHub takes the token no more, and the access service gives no other; the commits stay, in the clone)")
	for end := time.Now().Add(5 * time.Second); len(h.world.Local.LiveTokens()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("%d tokens are still alive at the stand-in for GitHub", len(h.world.Local.LiveTokens()))
		}
	}
	return nil
}

// heard waits until the access service has heard what another process did to its
// store: it looks every half second.
func heard(ctx context.Context) func() error {
	return func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
			return nil
		}
	}
}

// stay leaves the hub up for somebody to try.
func (h *hubDemo) stay(ctx context.Context) error {
	for _, name := range []string{"", "gpu"} {
		s, err := h.startServer(ctx, name)
		if err != nil {
			return err
		}
		if err := s.script(); err != nil {
			return err
		}
	}
	h.say("A hub runs, on this machine only, until you press Ctrl-C. In a browser on this machine:")
	h.say("")
	h.say("   %-40s your access; log in as %s, with any password", h.url, demoUser)
	h.say("   %-40s the same as %s, in a private window: people, health", h.url+"people", demoAdmin)
	h.say("   %-40s the stand-in for GitHub; the person is %s", h.world.URL, fake.CampusUser)
	h.say("   %-40s the stand-in for the hub", h.hubURL)
	h.say("")
	h.say("In another terminal, a server of %s's (the second is server-gpu.sh):", demoUser)
	h.say("")
	h.say("   . %s", filepath.Join(h.dir, "server.sh"))
	h.say("   git clone %s             then open the page it names", h.repo("data"))
	h.say("   cd data; echo 3,2.52 >> gauges.csv; git commit -am 'Add a level'; git push")
	h.say("   git clone %s", h.repo("paper"))
	h.say("   daypass status; daypass check; daypass repos; daypass logout --disconnect")
	h.say("")
	h.say("As the admin:")
	h.say("")
	for _, line := range []string{"events", "user show " + demoUser, "user revoke " + demoUser, "check"} {
		h.say("   %s admin %s --config %s", filepath.Join(h.bin, "daypass"), line, h.config)
	}
	<-ctx.Done()
	h.say("\nGone.")
	return nil
}
