package doctor

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
)

// Worst returns the worst level of the findings, OK if there is none.
func Worst(list []Finding) Level {
	worst := OK
	for _, f := range list {
		if f.Level.rank() > worst.rank() {
			worst = f.Level
		}
	}
	return worst
}

// Bundle returns a report for support, as text: every finding, without a secret
// and without a person's home folder.
func Bundle(list []Finding) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "daypass doctor, %s/%s\n", runtime.GOOS, runtime.GOARCH)
	for _, f := range list {
		fmt.Fprintf(&b, "\n%-4s %s: %s\n", f.Level, f.Code, clean(f.Title))
		if f.Detail != "" {
			fmt.Fprintf(&b, "     %s\n", clean(f.Detail))
		}
		if f.Fix != "" {
			fmt.Fprintf(&b, "     -> %s\n", clean(f.Fix))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", SupportLine(list))
	return b.Bytes()
}

var (
	homes   = pattern(`(/home|/Users|/nfs/home|/root)(/[^/\s"',;:]+)?`)
	address = pattern(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`)
)

// clean is a second sieve, for text that left a check as it should not.
func clean(s string) string {
	s = homes().ReplaceAllString(gitconf.Show(s), "~")
	return address().ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "git@") {
			return m
		}
		return "…@…"
	})
}

// SupportLine returns one line to send to support: the codes of what is wrong,
// how often, and nothing that names a person, a host, a file or a token.
func SupportLine(list []Finding) string {
	count := map[string]int{}
	for _, f := range list {
		if f.Level != OK {
			count[string(f.Level)+":"+f.Code]++
		}
	}
	keys := make([]string, 0, len(count))
	for k := range count {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	parts := []string{"daypass-doctor/" + daypass.Version, runtime.GOOS + "/" + runtime.GOARCH}
	for _, f := range list {
		if f.Code == "git-version" {
			parts = append(parts, strings.ReplaceAll(strings.ReplaceAll(clean(f.Title), " ", "-"), "git-", "git/"))
			break
		}
	}
	for _, k := range keys {
		if count[k] > 1 {
			k = fmt.Sprintf("%s*%d", k, count[k])
		}
		parts = append(parts, k)
	}
	if len(keys) == 0 {
		parts = append(parts, "all-ok")
	}
	return strings.Join(parts, " ")
}

// Clock compares this machine's time with a server's, as the Date header of an
// answer has it (RFC 9110). A wrong clock makes fresh tokens look expired.
func Clock(server, local time.Time) Finding {
	skew := local.Sub(server).Round(time.Second)
	if skew.Abs() < 30*time.Second {
		return Finding{Code: "clock", Level: OK, Title: "the clock is right"}
	}
	f := Finding{Code: "clock-skew", Level: Warn, Title: fmt.Sprintf("this machine's clock is %v ahead", skew), Fix: "Ask the administrator to set the clock (NTP)."}
	if skew < 0 {
		f.Title = fmt.Sprintf("this machine's clock is %v behind", -skew)
	}
	if skew.Abs() > 5*time.Minute {
		f.Level = Bad
	}
	return f
}

var clientID = pattern(`^(Iv1\.[0-9a-f]{16}|Iv23[0-9A-Za-z]{16})$`)

// AdminSettings looks at the shape of what an administrator sets: a client id
// of a GitHub App, and its address. Values that were swapped, an App's number,
// or a client secret in their place are what people send support about.
func AdminSettings(client, appURL string) []Finding {
	var out []Finding
	bad := func(code, title, fix string) {
		out = append(out, Finding{Code: code, Level: Bad, Title: title, Fix: fix})
	}
	isURL := func(s string) bool { return strings.Contains(s, "://") }
	switch {
	case client == "":
	case isURL(client):
		bad("client-id-url", "the client id is a URL", "The client id and the App's address seem to be swapped.")
	case strings.Trim(client, "0123456789") == "":
		bad("client-id-number", "the client id is a number", "That is the App ID. Use the Client ID, which begins with Iv, from the App's settings page.")
	case len(client) == 40 && strings.Trim(client, "0123456789abcdef") == "":
		bad("client-id-secret", "the client id looks like a client secret", "Revoke that secret in the App's settings and use the Client ID.")
	case strings.HasPrefix(client, "Ov23"):
		bad("client-id-oauth", "the client id is that of an OAuth App", "Use a GitHub App: an OAuth App's tokens reach everything and do not end.")
	case !clientID().MatchString(client):
		out = append(out, Finding{Code: "client-id-shape", Level: Warn, Title: "the client id does not look like a GitHub App's", Fix: "It should begin with Iv1. or Iv23; on a GitHub Enterprise Server others occur."})
	}
	switch {
	case appURL == "":
	case !isURL(appURL):
		bad("app-url-shape", "the App's address is not a URL", "It should be https://github.com/apps/NAME.")
	case !strings.HasPrefix(appURL, "https://"):
		bad("app-url-shape", "the App's address is not https", "It should be https://github.com/apps/NAME.")
	case !strings.Contains(appURL, "/apps/") && !strings.Contains(appURL, "/github-apps/"):
		out = append(out, Finding{Code: "app-url-shape", Level: Warn, Title: "the App's address does not look like an App's public page", Fix: "It should be https://github.com/apps/NAME."})
	}
	return out
}

// pattern compiles a regular expression when it is first used: most runs of
// daypass use none, and compiling all of them is a tenth of its start.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
