package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass/fake"
)

const demoJobHelp = `Show a pass at work, in a world that lives on this machine only: a user of a hub makes one for a night job, narrows it
without asking anybody, and the job reads one repository with it and nothing else. It checks each step.`

func (s *app) demoJobCommand() *cobra.Command {
	return &cobra.Command{
		Use: "job", Short: "A pass for a night job: one repository, to read, for two hours", Long: demoJobHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.demoJob(c.Context()) },
	}
}

func (s *app) demoJob(ctx context.Context) error {
	h, err := s.newHubDemo(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	if err := h.jobJourney(ctx); err != nil {
		return fmt.Errorf("the demo stopped: %w", err)
	}
	return nil
}

// jobJourney is the story. Each step checks what it claims.
func (h *hubDemo) jobJourney(ctx context.Context) error {
	began := time.Now()
	h.say("On this machine only: stand-ins for a JupyterHub at %s and for GitHub at", h.hubURL)
	h.say("%s, and the access service, \"daypass serve\", at %s.", h.world.URL, h.url)
	h.say("The person is %s at the hub, %s at GitHub, and has river-lab/data and notes of their own.", demoUser, fake.CampusUser)
	for _, part := range []func(context.Context) error{h.jobPass, h.jobRuns, h.jobEnds} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	h.say("\nAll of it went as it should, in %.1f s; no token of the job is left alive.", time.Since(began).Seconds())
	return nil
}

const (
	nightPass = "night.pass"
	jobPass   = "job.pass"
)

func (h *hubDemo) jobPass(ctx context.Context) error {
	h.say("\n1. In a server of theirs: GitHub is connected, and a pass is made\n")
	var err error
	if h.one, err = h.startServer(ctx, ""); err != nil {
		return err
	}
	if _, err := h.connectPages(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	host := strings.TrimPrefix(h.world.URL, "http://")
	return inOrder(
		h.one.step(ctx, want{text: "river-lab/data"}, "", "daypass", "pass", "create", "--label", "night job", "--host", host, "--repo", "river-lab/data",
			"--expires", "2h", "--output", nightPass),
		h.saying("     (narrower, for the job: that needs no network and nobody's leave, and it can never be undone)"),
		h.one.step(ctx, want{text: "read"}, "", "daypass", "pass", "narrow", "--file", nightPass, "--read-only", "--output", jobPass),
	)
}

// saying is a step that only tells.
func (h *hubDemo) saying(text string) func() error {
	return func() error {
		h.say("%s", text)
		return nil
	}
}

// startJob is another machine: it knows the access service's address and has the
// pass, and neither a hub nor a log-in.
func (h *hubDemo) startJob() (*demoServer, error) {
	j := &demoServer{h: h, at: "job", home: filepath.Join(h.dir, "servers", "job")}
	wallet := filepath.Join(h.mem, "job")
	for _, dir := range []string{j.home, wallet} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(h.one.home, jobPass))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(j.home, jobPass)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	j.env = append(h.image(j.home), "DAYPASS_URL="+h.hubURL+"services/daypass/", "DAYPASS_TOKEN_FILE="+file, "DAYPASS_RUNTIME_DIR="+wallet,
		"GIT_AUTHOR_NAME=Night job", "GIT_AUTHOR_EMAIL=job@example.org", "GIT_COMMITTER_NAME=Night job", "GIT_COMMITTER_EMAIL=job@example.org")
	return j, nil
}

func (h *hubDemo) jobRuns(ctx context.Context) error {
	h.say("\n2. The job, on another machine: it has the pass, and no log-in of any kind\n")
	j, err := h.startJob()
	if err != nil {
		return err
	}
	h.two = j
	clone := filepath.Join(j.home, "data")
	return inOrder(
		j.step(ctx, want{}, "", "git", "clone", "--quiet", h.repo("data")),
		h.narrow,
		h.change(filepath.Join(clone, "gauges.csv")),
		j.step(ctx, want{}, clone, "git", "commit", "--quiet", "--all", "--message", "Add a level by night"),
		h.saying("     (it only reads, so it pushes nothing; and it reaches no other repository)"),
		j.step(ctx, want{code: 128}, clone, "git", "push"),
		j.step(ctx, want{code: 128, text: "[DP-"}, "", "git", "clone", "--quiet", h.world.URL+"/"+fake.CampusUser+"/notes.git"),
		j.step(ctx, want{code: 4}, "", "daypass", "pass", "list"),
	)
}

func (h *hubDemo) jobEnds(ctx context.Context) error {
	h.say("\n3. In the server: what the pass was used for; and an end to it, with all that came of it\n")
	clone := filepath.Join(h.two.home, "again")
	if err := inOrder(
		h.one.step(ctx, want{text: "night job"}, "", "daypass", "pass", "list"),
		h.tell(ctx, nil, want{text: "pass"}, "events", "--user", demoUser, "--limit", "6"),
		h.one.step(ctx, want{text: "Ended"}, "", "daypass", "pass", "revoke", "--yes", "--file", nightPass),
		h.jobsTokensEnd(ctx),
		h.two.step(ctx, want{code: 128}, "", "git", "clone", "--quiet", h.repo("data"), clone),
		h.saying("     (GitHub takes the token no more that the job had; and it gets no other)"),
		h.two.step(ctx, want{code: 128, text: "[DP-"}, "", "git", "clone", "--quiet", h.repo("data"), clone),
	); err != nil {
		return err
	}
	return h.passesKept()
}

// jobsTokensEnd waits until GitHub knows no token for one repository any more.
func (h *hubDemo) jobsTokensEnd(ctx context.Context) func() error {
	return func() error {
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			live := 0
			for _, t := range h.world.Local.LiveTokens() {
				if t.Scoped {
					live++
				}
			}
			switch {
			case live == 0:
				h.say("     (GitHub knows no token of the job's any more)")
				return nil
			case time.Now().After(end) || ctx.Err() != nil:
				return fmt.Errorf("%d tokens that were made by the pass are still alive at the stand-in for GitHub", live)
			}
		}
	}
}

// passesKept looks for the passes where the access service keeps or says things.
func (h *hubDemo) passesKept() error {
	text := h.log.String()
	files, err := filepath.Glob(filepath.Join(h.dir, "service", "*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || !st.Mode().IsRegular() {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		text += string(b)
	}
	for _, name := range []string{nightPass, jobPass} {
		b, err := os.ReadFile(filepath.Join(h.one.home, name))
		if err != nil {
			return err
		}
		p := strings.TrimSpace(string(b))
		if len(p) < 60 || strings.Contains(text, p[len(p)-43:]) {
			return errors.New("the access service's store or log holds a pass")
		}
	}
	h.say("     (neither the service's store nor its log holds a pass)")
	return nil
}
