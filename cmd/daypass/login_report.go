package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mdp/qrterminal/v3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// showCode is the one screen that everybody sees: where to go, what to type,
// and a word against codes that strangers send (RFC 8628, 5.4).
func (l *login) showCode(code *github.Code) {
	s := l.screen
	s.event("code", map[string]any{
		"verification_uri": code.Page, "user_code": code.User, "expires": code.Expires.UTC().Format(time.RFC3339),
	})
	if s.json {
		return
	}
	s.say("Open this page in any browser, on any machine:")
	s.say("")
	s.say("    %s", s.bold(code.Page))
	s.say("")
	if l.o.qr {
		qrterminal.GenerateHalfBlock(code.Page, qrterminal.L, s.err)
		s.say("")
	}
	s.say("and type this code:")
	s.say("")
	if s.rich {
		s.box(code.User)
	} else {
		s.say("    %s", code.User)
		s.say("")
		s.say("    (spelled out: %s)", spelled(code.User))
	}
	s.say("")
	what := "the repositories that you chose for its App"
	if l.repo.ID != 0 {
		what = l.repo.String() + " and nothing else"
	}
	s.say("It gives %s leave to pull from and push to %s.", printable(l.app.whoAndWhere()), what)
	s.say("Type only a code that you asked for yourself, just now: whoever sends you one wants your access.")
	s.say("")
}

// spelled says a code so that it can be read aloud and heard right.
func spelled(code string) string {
	var out []string
	for _, r := range code {
		switch r {
		case '-':
			out = append(out, "hyphen")
		case '0':
			out = append(out, "0 (zero)")
		case '1':
			out = append(out, "1 (one)")
		default:
			out = append(out, string(r))
		}
	}
	return strings.Join(out, ", ")
}

// showWait shows that time passes while the person is away at the browser; the
// function it returns ends that.
func (l *login) showWait(ctx context.Context, code *github.Code) (done func()) {
	s := l.screen
	if s.json {
		return func() {}
	}
	step := time.Minute
	if s.rich {
		step = time.Second
	} else {
		s.say("Waiting for you there. The code ends at %s. Ctrl-C stops.", s.moment(code.Expires))
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			left := code.Expires.Sub(s.now())
			s.redraw(fmt.Sprintf("Waiting for you there. The code ends at %s (%d:%02d left). Ctrl-C stops.",
				clock(code.Expires, s.now()), int(left.Minutes()), int(left.Seconds())%60))
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if !s.rich {
				s.say("Still waiting; %s left.", remaining(code.Expires.Sub(s.now())))
			}
		}
	})
	return func() {
		cancel()
		wait.Wait()
		s.redraw("")
	}
}

// report says who, where and until when.
func (l *login) report(got grant, e wallet.Entry) {
	s := l.screen
	s.event("login", map[string]any{
		"host": l.host.Name, "account": got.account.Login, "expires": e.Credential.Scope.Until.UTC().Format(time.RFC3339),
		"scope": scopeWords(e.Credential.Scope), "kept": l.wallet.Place().String(),
		"repositories": repoNames(got.reach.Pushable()), "install_link": e.AppURL, "renewed_until": optionalTime(e.RenewUntil),
	})
	s.result("%s", s.bold("Logged in to "+l.host.Title()+" as "+got.account.Login+"."))
	s.result("  Ends:  %s", s.moment(e.Credential.Scope.Until))
	if e.RenewUntil.After(e.Credential.Scope.Until) {
		s.result("  Renewed by itself until %s; what you run after that ends it at %s.", s.moment(e.RenewUntil), l.host.Title())
	}
	s.result("  Kept:  %s", l.wallet.Place())
	if l.repo.ID != 0 {
		if _, wide := l.liveLogin(); wide {
			s.result("  Your earlier, wider login stays: git uses it for other repositories. \"daypass logout\" ends both.")
		}
	}
	s.result("")
	if got.token.OAuthApp() {
		s.result("This is an OAuth App's token: it reaches EVERY repository that you can, as this machine's admins allow.\n")
	} else {
		l.reportReach(got.reach)
	}
	if skew, ok := l.client.Skew(); ok && (skew > time.Minute || skew < -time.Minute) {
		s.say("Note: this machine's clock is %s %s %s's. Times above are this machine's.", remaining(skew.Abs()), aheadBehind(skew), l.host.Title())
	}
}

func aheadBehind(skew time.Duration) string {
	if skew > 0 {
		return "behind"
	}
	return "ahead of"
}

func optionalTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func repoNames(repos []github.Repository) []string {
	out := []string{}
	for _, r := range repos {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}

// shownRepos is how many names of one owner a screen has room for.
const shownRepos = 8

func (l *login) reportReach(r github.Reach) {
	s := l.screen
	if len(r.Installations) == 0 {
		s.result("The App is installed nowhere that you can see, so no push will work yet.")
	} else {
		s.result("What you can push to, by owner:")
	}
	for _, in := range r.Installations {
		s.result("  %-20s %s", in.Owner, l.reachWords(in))
	}
	if n := len(r.HiddenOrgs); n > 0 {
		s.result("  %d more hidden by single sign-on: sign in at %s/orgs/NAME/sso, then log in again.", n, l.host.Web)
	}
	if link := l.installLink(r); link != "" {
		s.result("To change that: %s", link)
		s.result("(For an organisation, members can only ask there; an owner then has to say yes. %s shows nobody but owners\nwhether somebody has asked.)", l.host.Title())
	}
	s.result("")
}

func (l *login) reachWords(in github.Installation) string {
	switch {
	case in.Suspended:
		return "nothing: the App is suspended there. An owner can end that" + with(": ", in.Settings)
	case in.Contents != "write":
		return "nothing: the App may only read there. An owner has to accept its new permissions" + with(": ", in.Settings)
	}
	var list []string
	for _, repo := range in.Repos {
		if repo.Push && !repo.Archived {
			list = append(list, repo.Name)
		}
	}
	slices.Sort(list)
	text := strings.Join(list, ", ")
	if len(list) > shownRepos {
		text = fmt.Sprintf("%s and %d more (daypass repos)", strings.Join(list[:shownRepos], ", "), len(list)-shownRepos)
	}
	if len(list) == 0 {
		text = "nothing: you may not push to the repositories chosen there"
	}
	if in.All {
		text += "  [on ALL repositories; choose some" + with(": ", in.Settings) + "]"
	}
	return text
}

// scopeWords says a scope as people read it.
func scopeWords(s daypass.Scope) string {
	verb := "may push to and pull from "
	if s.Access == daypass.Read {
		verb = "may read "
	}
	if s.All {
		return verb + "every repository where the App is installed and you have the right"
	}
	var list []string
	for _, r := range s.Repos {
		if r.String() == "" {
			list = append(list, fmt.Sprintf("repository %d", r.ID))
			continue
		}
		list = append(list, r.String())
	}
	return verb + strings.Join(list, ", ") + " only"
}
