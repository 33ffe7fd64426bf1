// Command helper measures git-credential-daypass beside what people use in its
// place, in one run whose rounds take turns, and prints medians and ratios:
//
//	go run ./bench/helper [-n ROUNDS] [-check]
//
// CPU is user and system time of the child and its children by wait4(2). Linux
// accounts it to the nanosecond (CONFIG_VIRT_CPU_ACCOUNTING_GEN or the
// scheduler's own clock, which sum_exec_runtime scales), so that a median over
// rounds means something; where it is counted in ticks, all medians are
// multiples of 1 ms or more and the program says so. Ratios are medians of the
// ratios of neighbours in time, since load moves both. The peak is VmHWM at the
// child's exit, read while it is held there by ptrace(2): wait4's own figure
// includes what the parent had before exec.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
	"github.com/daypass-dev/daypass/wallet"
)

const (
	hello = "Go hello-world"
	store = "git-credential-store get"
	fill  = "git credential fill, store"
)

// A bound is what a command may cost beside another.
type bound struct {
	name, beside string
	cpu, wall    float64 // 0: not bounded
}

var bounds = []bound{
	{name: "daypass get", beside: hello, cpu: 1.15},
	{name: "daypass get", beside: store, wall: 1.15},
	{name: "git credential fill, daypass", beside: fill, cpu: 1.05, wall: 1.05},
	{name: "daypass store", beside: hello, cpu: 1.10},
	{name: "daypass erase", beside: hello, cpu: 1.10},
	{name: "daypass --help", beside: hello, cpu: 2.5},
}

const (
	maxPeak = 3 << 20
	maxSize = 2_000_000
)

func main() {
	n := flag.Int("n", 300, "rounds")
	check := flag.Bool("check", false, "fail where a bound is exceeded in each of up to five runs")
	flag.Parse()
	if err := run(*n, *check, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/helper:", err)
		os.Exit(1)
	}
}

func run(n int, check bool, out io.Writer) error {
	dir, err := os.MkdirTemp("", "daypass-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab, err := newLab(dir)
	if err != nil {
		return err
	}
	defer lab.close()
	var best []verdict
	for attempt := 1; ; attempt++ {
		lab.measure(n)
		lab.print(out, n)
		best = better(best, lab.judge())
		failed := 0
		for _, v := range best {
			if !v.ok() {
				failed++
			}
		}
		if !check || failed == 0 || attempt == 5 {
			break
		}
	}
	bad := false
	fmt.Fprintln(out, "\nBounds (best run):")
	for _, v := range best {
		fmt.Fprintln(out, v)
		bad = bad || !v.ok()
	}
	if bad && check {
		return fmt.Errorf("a bound is exceeded")
	}
	return nil
}

// A command is what is measured.
type command struct {
	name  string
	args  []string
	stdin string
	every int // measured in every such round; 0 means 1
	cpu   []time.Duration
	wall  []time.Duration
	cpuTo map[string][]float64 // ratios to the neighbours of the same round
	walTo map[string][]float64
	peak  int64
	skip  string // why it is not measured
}

// A lab is the binaries, the wallet and the peers.
type lab struct {
	dir, wallet string
	env         []string
	commands    []*command
	cache       string // the socket of git's cache
}

func newLab(dir string) (*lab, error) {
	l := &lab{dir: dir, cache: dir + "/cache/socket"}
	runtime := dir
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		made, err := os.MkdirTemp("/dev/shm", "daypass-bench-")
		if err != nil {
			return nil, err
		}
		runtime = made
	}
	l.wallet = runtime
	if err := l.build(); err != nil {
		return nil, err
	}
	l.env = []string{"HOME=" + dir, "PATH=" + dir + "/bin:" + os.Getenv("PATH"), "DAYPASS_RUNTIME_DIR=" + l.wallet,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LANG=C.UTF-8", "GH_CONFIG_DIR=" + dir}
	if err := l.fillWallet(); err != nil {
		return nil, err
	}
	return l, l.peers()
}

func (l *lab) close() {
	_ = l.command("git", "credential-cache", "--socket", l.cache, "exit").Run()
	if l.wallet != l.dir {
		os.RemoveAll(l.wallet)
	}
}

const helloSource = `package main

import "os"

func main() { os.Stdout.WriteString("username=x-access-token\n") }
`

// build makes the binaries stripped, and copies them all alike: how a file lies
// in the page cache moves what it costs to start by several hundredths.
func (l *lab) build() error {
	if err := os.MkdirAll(l.dir+"/hello", 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir+"/bin", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(l.dir+"/hello/main.go", []byte(helloSource), 0o644); err != nil {
		return err
	}
	for name, pkg := range map[string]string{
		"hello": l.dir + "/hello/main.go", "git-credential-daypass": "./cmd/git-credential-daypass", "daypass": "./cmd/daypass",
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", l.dir+"/built", pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			if name == "daypass" {
				continue // told by the table
			}
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		b, err := os.ReadFile(l.dir + "/built")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(l.dir, "bin", name), b, 0o755); err != nil {
			return err
		}
	}
	return nil
}

const token = "ghu_0123456789abcdefghijABCDEFGHIJ012345"

func (l *lab) fillWallet() error {
	w, err := wallet.Open(wallet.Options{UID: os.Geteuid(), Now: time.Now, Getenv: func(k string) string {
		if k == "DAYPASS_RUNTIME_DIR" {
			return l.wallet
		}
		return ""
	}})
	if err != nil {
		return err
	}
	for _, repo := range []string{"", "octo/one", "octo/two", "octo/three", "octo/data"} {
		r, _ := daypass.ParseRepo(repo)
		e := wallet.Entry{Authority: wallet.Login, Scheme: "https", Origin: "login", ProviderName: "GitHub",
			Credential: daypass.Credential{Account: "octocat", Username: "x-access-token", Token: daypass.NewSecret(token),
				Scope: daypass.Scope{Host: "github.com", Access: daypass.Write, Until: time.Now().Add(8 * time.Hour)}},
			WebURL: "https://github.com", APIURL: "https://api.github.com", AppURL: "https://github.com/apps/lab", ClientID: "Iv23li0123456789"}
		if repo == "" {
			e.Credential.Scope.All = true
		} else {
			e.Credential.Scope.Repos = []daypass.Repo{r}
		}
		if err := w.Put(e); err != nil {
			return err
		}
	}
	return nil
}

// peers lists what is measured, with its data where it needs some.
func (l *lab) peers() error {
	const ask = "protocol=https\nhost=github.com\npath=octo/data.git\n"
	const known = ask + "username=x-access-token\npassword=" + token + "\n"
	const other = ask + "username=x-access-token\npassword=of-another-time\n"
	var lines string
	for _, path := range []string{"", "/octo/one.git", "/octo/two.git", "/octo/three.git", "/octo/data.git"} {
		lines += "https://x-access-token:" + token + "@github.com" + path + "\n"
	}
	file := l.dir + "/credentials"
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		return err
	}
	core, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Dir(l.cache), 0o700); err != nil {
		return err
	}
	in := l.command("git", "credential-cache", "--socket", l.cache, "store")
	in.Stdin = strings.NewReader(known)
	if err := in.Run(); err != nil {
		return fmt.Errorf("git credential-cache: %w", err)
	}
	if err := os.WriteFile(l.dir+"/hosts.yml", []byte("github.com:\n    oauth_token: "+token+"\n    user: octocat\n    git_protocol: https\n"), 0o600); err != nil {
		return err
	}
	ours, git := l.dir+"/bin/git-credential-daypass", strings.TrimSpace(string(core))
	with := func(helper string) []string {
		return []string{"git", "-c", "credential.helper=", "-c", "credential.helper=" + helper, "-c", "credential.useHttpPath=true", "credential", "fill"}
	}
	l.commands = []*command{
		{name: hello, args: []string{l.dir + "/bin/hello"}, stdin: ask},
		{name: "daypass get", args: []string{ours, "get"}, stdin: ask},
		{name: store, args: []string{git + "/git-credential-store", "--file=" + file, "get"}, stdin: ask},
		{name: "git-credential-cache get", args: []string{git + "/git-credential-cache", "--socket", l.cache, "get"}, stdin: ask},
		{name: "daypass store", args: []string{ours, "store"}, stdin: known},
		{name: "daypass erase", args: []string{ours, "erase"}, stdin: other},
		{name: "git credential fill, daypass", args: with(gitconf.HelperLine(ours)), stdin: ask},
		{name: fill, args: with(git + "/git-credential-store --file=" + file), stdin: ask},
		{name: "git credential fill, cache", args: with(git + "/git-credential-cache --socket " + l.cache), stdin: ask},
		{name: "daypass --help", args: []string{l.dir + "/bin/daypass", "--help"}},
		{name: "git-credential-oauth get", args: []string{"git-credential-oauth", "get"}, every: 10, stdin: "protocol=https\nhost=none.example\n"},
		{name: "gh auth git-credential get", args: []string{"gh", "auth", "git-credential", "get"}, every: 10, stdin: ask},
	}
	return l.probe()
}

// probe resolves every command once and leaves out what is not there.
func (l *lab) probe() error {
	for _, c := range l.commands {
		path, err := exec.LookPath(c.args[0])
		if err != nil {
			c.skip = "not installed (Debian: apt-get install gh git-credential-oauth)"
			if strings.HasPrefix(c.name, "daypass") {
				c.skip = "does not build"
			}
			continue
		}
		c.args[0] = path
		out, err := l.output(c)
		answers := strings.HasSuffix(c.name, " get") || strings.Contains(c.name, "fill")
		if answers && !strings.Contains(c.name, "oauth") && (err != nil || !strings.Contains(out, token)) && !strings.HasPrefix(c.name, "gh ") {
			return fmt.Errorf("%s does not answer: %q, %w", c.name, out, err)
		}
	}
	return nil
}

func (l *lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir = l.env, l.dir
	return cmd
}

func (l *lab) output(c *command) (string, error) {
	cmd := l.command(c.args...)
	cmd.Stdin = strings.NewReader(c.stdin)
	out, err := cmd.Output()
	return string(out), err
}

// measure runs n rounds; in each, every command runs once, in an order that
// moves on by one, so that none always follows the same.
func (l *lab) measure(n int) {
	for _, c := range l.commands {
		c.cpu, c.wall, c.cpuTo, c.walTo = nil, nil, map[string][]float64{}, map[string][]float64{}
	}
	for round := range n {
		last := map[string][2]time.Duration{}
		for i := range l.commands {
			c := l.commands[(i+round)%len(l.commands)]
			if c.skip != "" || c.every > 0 && round%c.every != 0 {
				continue
			}
			cpu, wall, err := l.once(c)
			if err != nil {
				c.skip = err.Error()
				continue
			}
			c.cpu, c.wall = append(c.cpu, cpu), append(c.wall, wall)
			last[c.name] = [2]time.Duration{cpu, wall}
		}
		for _, c := range l.commands {
			for _, beside := range []string{hello, store, fill} {
				a, ok := last[c.name]
				b, ok2 := last[beside]
				if ok && ok2 && b[0] > 0 {
					c.cpuTo[beside] = append(c.cpuTo[beside], float64(a[0])/float64(b[0]))
					c.walTo[beside] = append(c.walTo[beside], float64(a[1])/float64(b[1]))
				}
			}
		}
	}
	for _, c := range l.commands {
		if c.skip == "" {
			c.peak = l.peak(c)
		}
	}
}

func (l *lab) once(c *command) (cpu, wall time.Duration, err error) {
	in, err := os.CreateTemp(l.wallet, "in")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(in.Name())
	defer in.Close()
	if _, err := in.WriteString(c.stdin); err != nil {
		return 0, 0, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, 0, err
	}
	defer null.Close()
	start := time.Now()
	p, err := os.StartProcess(c.args[0], c.args, &os.ProcAttr{Dir: l.dir, Env: l.env, Files: []*os.File{in, null, null}})
	if err != nil {
		return 0, 0, err
	}
	state, err := p.Wait()
	wall = time.Since(start)
	if err != nil {
		return 0, 0, err
	}
	return state.UserTime() + state.SystemTime(), wall, nil
}

func median[T float64 | time.Duration](list []T) T {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

func (l *lab) print(out io.Writer, n int) {
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(out, "\n%d rounds, load %s", n, load)
	if len(load) == 0 {
		fmt.Fprintln(out, "unknown")
	}
	fmt.Fprintf(out, "%-30s %8s %8s %10s %10s %10s %9s %9s\n", "", "CPU ms", "wall ms", "CPU/hello", "wall/hello", "wall/store", "peak MiB", "bytes")
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	coarse := true
	for _, c := range l.commands {
		if c.skip != "" {
			fmt.Fprintf(out, "%-30s %s\n", c.name, c.skip)
			continue
		}
		size := ""
		if st, err := os.Stat(c.args[0]); err == nil {
			size = fmt.Sprint(st.Size())
		}
		coarse = coarse && median(c.cpu)%time.Millisecond == 0
		fmt.Fprintf(out, "%-30s %8.3f %8.3f %10.3f %10.3f %10.3f %9.2f %9s\n", c.name, ms(median(c.cpu)), ms(median(c.wall)),
			median(c.cpuTo[hello]), median(c.walTo[hello]), median(c.walTo[store]), float64(c.peak)/(1<<20), size)
	}
	if coarse {
		fmt.Fprintln(out, "CPU time is counted in ticks on this kernel: only wall figures mean something.")
	}
}

// A verdict is one bound with what was measured.
type verdict struct {
	what      string
	got, most float64
}

func (v verdict) ok() bool { return v.got <= v.most }

func (v verdict) String() string {
	word := "ok  "
	if !v.ok() {
		word = "OVER"
	}
	return fmt.Sprintf("%s %-62s %10.3f of %.3f", word, v.what, v.got, v.most)
}

func (l *lab) find(name string) *command {
	for _, c := range l.commands {
		if c.name == name && c.skip == "" {
			return c
		}
	}
	return nil
}

func (l *lab) judge() []verdict {
	var out []verdict
	for _, b := range bounds {
		c := l.find(b.name)
		if c == nil {
			continue
		}
		if b.cpu > 0 {
			out = append(out, verdict{b.name + ", CPU beside " + b.beside, median(c.cpuTo[b.beside]), b.cpu})
		}
		if b.wall > 0 {
			out = append(out, verdict{b.name + ", wall beside " + b.beside, median(c.walTo[b.beside]), b.wall})
		}
	}
	c := l.find("daypass get")
	out = append(out, verdict{"daypass get, peak in MiB", float64(c.peak) / (1 << 20), float64(maxPeak) / (1 << 20)})
	if st, err := os.Stat(c.args[0]); err == nil {
		out = append(out, verdict{"git-credential-daypass, MB", float64(st.Size()) / 1e6, float64(maxSize) / 1e6})
	}
	return out
}

// better keeps, for each bound, the best that was measured.
func better(old, now []verdict) []verdict {
	for i := range now {
		if i < len(old) && old[i].what == now[i].what && old[i].got < now[i].got {
			now[i] = old[i]
		}
	}
	return now
}
