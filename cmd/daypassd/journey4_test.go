package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
)

// A job is a shell elsewhere, on a cluster or in CI: the image that an admin set
// up, a home of its own, the service's address and one pass. It knows no hub.
type job struct {
	s    *site
	home string
	pass string
}

func (s *site) job(name, text string) *job {
	s.t.Helper()
	j := &job{s, filepath.Join(s.dir, "job-"+name), text}
	for _, dir := range []string{j.home, filepath.Join(j.home, "run")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	return j
}

func (j *job) run(script string) (string, error) {
	j.s.t.Helper()
	cmd := exec.Command("unshare", "--mount", "/bin/sh", "-ec",
		`mount -t overlay overlay -o "lowerdir=$1/image:/etc" /etc; cd "$HOME"; exec /bin/sh -ec "$2"`, "sh", j.s.dir, script)
	cmd.Env = []string{
		"PATH=" + j.s.bin + ":" + os.Getenv("PATH"), "HOME=" + j.home, "DAYPASS_RUNTIME_DIR=" + filepath.Join(j.home, "run"),
		"DAYPASS_URL=" + j.s.url, "DAYPASS_TOKEN=" + j.pass, "GIT_TERMINAL_PROMPT=0", "URL=" + j.s.world.URL,
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (j *job) must(script string) string {
	j.s.t.Helper()
	out, err := j.run(script)
	if err != nil {
		j.s.t.Fatalf("%s: %v\n%s\nthe service said:\n%s", script, err, out, j.s.serve.text())
	}
	return out
}

// TestJourney4 is the night job: somebody makes a pass in their server, narrows it
// without asking anybody, and gives it to a job, which then reads that one
// repository and does nothing else, for as long as the server runs.
func TestJourney4(t *testing.T) {
	s := newSite(t, siteConfig{})
	s.hub.CreateUser(t, "researcher")
	s.hub.StartServer(t, "researcher", "")
	p := s.browser()
	p.logIn("researcher")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")

	s.must("researcher", "", `daypass pass create --label 'night job' --repo river-lab/data --expires 2h --output night.pass
daypass pass narrow --file night.pass --read-only --expires 1h --output job.pass
test "$(daypass pass narrow --file night.pass --for-job --json | grep -o '"text":"dp:server=@[0-9][0-9]*"' | uniq -c | tr -s ' ' | cut -d ' ' -f 2)" = 2 # the start that the service put into it
echo "pass $(cat night.pass)" >all-passes; echo "pass $(cat job.pass)" >>all-passes`)
	wide, narrow := s.passes(s.must("researcher", "", "cat all-passes; rm all-passes"))

	// The job reads; it pushes nothing, and reaches nothing else.
	j := s.job("night", narrow)
	j.must("git clone -q $URL/river-lab/data.git work && cd work && git log -1 >/dev/null")
	out, err := j.run("cd work; git -c user.name=j -c user.email=j@example.org commit -q --allow-empty -m night; git push")
	if err == nil {
		t.Errorf("a job that may only read has pushed:\n%s", out)
	}
	out, err = j.run("git clone -q $URL/river-lab/paper.git")
	if err == nil || !strings.Contains(out, "not for the repository") {
		t.Errorf("another repository: %v\n%s", err, out)
	}
	for _, not := range []string{"daypass pass list", "daypass pass create --expires 1h --output more.pass", "daypass disconnect --yes"} {
		if out, err := j.run(not); err == nil {
			t.Errorf("with a pass, %q does:\n%s", not, out)
		}
	}
	// What it was narrowed from may push.
	s.job("day", wide).must(`git clone -q $URL/river-lab/data.git work; cd work
git -c user.name=j -c user.email=j@example.org commit -q --allow-empty -m day
git push -q`)

	// The person sees it, and what it did.
	p.do("open the passes", chromedp.Navigate(s.url+"passes"))
	p.sees("night job")
	s.keptNowhere(wide, narrow)

	// The server stops, and the pass with it, and what was made by it.
	if s.narrowed() == 0 {
		t.Error("no token lives that could end")
	}
	s.hub.StopServer(t, "researcher", "")
	s.wait("the pass has ended with the server", func() bool {
		out, err := j.run("rm -rf again run/*; git clone -q $URL/river-lab/data.git again")
		return err != nil && strings.Contains(out, "pass")
	})
	s.wait("no token is left", func() bool { return s.narrowed() == 0 })
}

// narrowed counts the tokens for one repository that live.
func (s *site) narrowed() (n int) {
	for _, token := range s.world.Local.LiveTokens() {
		if token.Scoped {
			n++
		}
	}
	return n
}

// passes reads the two that the server's script printed, the wider one first.
func (s *site) passes(out string) (wide, narrow string) {
	s.t.Helper()
	var found []string
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "pass "); ok {
			if p, err := pass.Parse(daypass.NewSecret(text)); err != nil || p.Form() != pass.Daypass {
				s.t.Fatalf("this is no pass: %v", err)
			}
			found = append(found, text)
		}
	}
	if len(found) != 2 || len(found[1]) <= len(found[0]) {
		s.t.Fatalf("there are %d passes", len(found))
	}
	return found[0], found[1]
}

// keptNowhere looks for passes where the service keeps or says something.
func (s *site) keptNowhere(passes ...string) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "store", "*"))
	if err != nil || len(files) == 0 {
		s.t.Fatal(files, err)
	}
	kept := []byte(s.serve.text() + s.hub.Log(1<<24))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			s.t.Fatal(err)
		}
		kept = append(kept, text...)
	}
	for _, p := range passes {
		if body := strings.TrimPrefix(p, "daypass_"); bytes.Contains(kept, []byte(body[len(body)-43:])) {
			s.t.Error("the end of a pass, its signature, is in the store or a log")
		}
	}
}
