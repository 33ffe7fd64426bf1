// Package forge asks hosts of git about what an address of theirs does not tell:
// whose branch a pull request is, and what kind of host this is. It reads no
// repository.
package forge

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// A Pull is where a pull request on GitHub comes from.
type Pull struct {
	Repo   daypass.Repo // zero where it was deleted since
	Branch string
	Commit string
}

var hash = pattern(`^[0-9a-f]{40}(?:[0-9a-f]{24})?$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// PullHead says where a pull request of a repository at c.Host, "github.com", comes from.
// [daypass.ErrNoSource]: there is none that may be seen; another error: it is not known.
func PullHead(ctx context.Context, c deposit.Config, repo daypass.Repo, n int) (Pull, error) {
	t := deposit.Traits{API: "api.github.com"}
	if c.Plain {
		t.API = ""
	}
	site := deposit.New(c, t)
	if n <= 0 || repo == (daypass.Repo{}) {
		return Pull{}, site.Odd()
	}
	var answer struct {
		Number int `json:"number"`
		Head   struct {
			Ref  string `json:"ref"`
			SHA  string `json:"sha"`
			Repo *struct {
				Name string `json:"full_name"`
			} `json:"repo"`
		} `json:"head"`
	}
	at := site.URL("repos", repo.Owner, repo.Name, "pulls", strconv.Itoa(n))
	if err := site.JSON(ctx, at, "application/vnd.github+json", &answer); err != nil {
		return Pull{}, err
	}
	out := Pull{Branch: answer.Head.Ref, Commit: answer.Head.SHA}
	if answer.Number != n || out.Branch == "" || strings.HasPrefix(out.Branch, "-") || !hash().MatchString(out.Commit) {
		return Pull{}, site.Partial()
	}
	if answer.Head.Repo != nil {
		var ok bool
		if out.Repo, ok = daypass.ParseRepo(answer.Head.Repo.Name); !ok {
			return Pull{}, site.Partial()
		}
	}
	return out, nil
}

// GitLab says whether a host runs GitLab, by what it tells OpenID's clients; an error
// says that it is not known.
func GitLab(ctx context.Context, c deposit.Config) (bool, error) {
	site := deposit.New(c, deposit.Traits{})
	body, found, err := site.Probe(ctx, site.URL(".well-known", "openid-configuration"))
	var answer struct {
		Claims []string `json:"claims_supported"`
	}
	return found && json.Unmarshal(body, &answer) == nil && slices.Contains(answer.Claims, "https://gitlab.org/claims/groups/owner"), err
}
