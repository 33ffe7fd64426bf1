package egress

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// Bounds of each process of git that the service starts. The kernel keeps them.
type Bounds struct {
	CPU    time.Duration // of all its threads; 0: ten minutes
	File   int64         // bytes of any file that it writes, a pack too; 0: 2 GiB
	Memory int64         // bytes of its own; 0: 1 GiB
	Files  int           // that are open at a time; 0: 256
}

// Git returns a git that goes through the proxy only: https only, no redirect followed,
// no credential helper, no proxy and no .netrc of the environment, each object that
// comes checked, one thread, and no more time, memory and disk than b says. Plain
// origins of the proxy's way are let through, for tests. What git speaks for itself
// (file, ssh, ext and other helpers) is off.
func (p *Proxy) Git(g plumbing.Git, b Bounds) plumbing.Git {
	g = g.Homeless()
	g.Environ = slices.DeleteFunc(slices.Clone(g.Environ), func(kv string) bool {
		name, _, _ := strings.Cut(strings.ToLower(kv), "=")
		return strings.HasSuffix(name, "_proxy")
	})
	g.Protocols = "https"
	allow := [][2]string{{"protocol.allow", "never"}, {"protocol.https.allow", "always"}}
	if len(p.way.Plain) > 0 {
		g.Protocols = "https:http"
		allow = append(allow, [2]string{"protocol.http.allow", "always"})
	}
	g.Config = slices.Concat(g.Config, allow, [][2]string{
		{"http.proxy", "http://daypass:" + p.word.Reveal() + "@" + p.at}, {"http.proxyAuthMethod", "basic"}, {"http.followRedirects", "false"},
		{"http.lowSpeedLimit", "1000"}, {"http.lowSpeedTime", "60"}, {"credential.helper", ""},
		{"transfer.fsckObjects", "true"}, {"fetch.fsckObjects", "true"},
		{"pack.threads", "1"}, {"index.threads", "1"}, {"pack.windowMemory", "128m"}, {"core.packedGitLimit", "256m"},
	})
	return Bound(g, b)
}

// Bound holds every process of a git to b, whatever it is told to do.
func Bound(g plumbing.Git, b Bounds) plumbing.Git {
	if b.CPU == 0 {
		b.CPU = 10 * time.Minute
	}
	if b.File == 0 {
		b.File = 2 << 30
	}
	if b.Memory == 0 {
		b.Memory = 1 << 30
	}
	if b.Files == 0 {
		b.Files = 256
	}
	// The shell sets its own limits (POSIX: ulimit -f in blocks of 512 bytes; -t, -d and -n
	// as dash and bash have them) and becomes git. Where it does not know one, it says no:
	// nothing runs without them. Whoever started it may have given it less memory already.
	script := fmt.Sprintf(`ulimit -c 0 && ulimit -t %[1]d && ulimit -f %[2]d && { ulimit -d %[3]d 2>/dev/null || test "$(ulimit -H -d)" -le %[3]d; } && ulimit -n %[4]d && exec "$0" "$@"`,
		max(1, int(b.CPU/time.Second)), (b.File+511)/512, b.Memory/1024, b.Files)
	g.Through = []string{"/bin/sh", "-c", script}
	return g
}
