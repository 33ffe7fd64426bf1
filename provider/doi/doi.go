// Package doi asks the Handle system which address a DOI or handle stands for, by the
// interface of doi.org (www.doi.org/the-identifier/resources/factsheets/
// doi-resolution-documentation, "Proxy server REST API"). It follows the address to
// nowhere.
package doi

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// Host is the proxy that is asked, of handles too.
const Host = "doi.org"

// prefix is of a DOI ("10.5281") or of a handle ("11529").
var prefix = pattern(`^[0-9]{2,9}(?:\.[0-9]{1,9}){0,4}$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

type answer struct {
	Code   int     `json:"responseCode"`
	Values []value `json:"values"`
}

type value struct {
	Index int    `json:"index"`
	Type  string `json:"type"`
	Data  struct {
		Value any `json:"value"`
	} `json:"data"`
}

// Resolve says which address a DOI or handle stands for, such as "10.5281/zenodo.7".
// [daypass.ErrNoSource]: it is not registered, or stands for no address; another error:
// that is not known. What comes back is https or http, without a name or password in it,
// and is nobody's promise: it may lead anywhere.
func Resolve(ctx context.Context, c deposit.Config, name string) (string, error) {
	c.Host = cmp.Or(c.Host, Host)
	site := deposit.New(c, deposit.Traits{})
	first, rest, ok := strings.Cut(name, "/")
	if !ok || !prefix().MatchString(first) || rest == "" || len(name) > 500 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) {
		return "", &daypass.Problem{
			Code: "DP-439", What: "This is no DOI or handle", Why: "it is not of the form 10.NUMBER/NAME", Next: "Copy it from the page of the deposit.", Kind: daypass.ErrRefused,
		}
	}
	var answer answer
	// Segments stay apart: a name of several has its slashes.
	err := site.JSON(ctx, site.URL(append([]string{"api", "handles"}, strings.Split(name, "/")...)...), "", &answer)
	switch {
	case errors.Is(err, daypass.ErrNoSource) || err == nil && (answer.Code == 100 || answer.Code == 200): // not found; found, without values
		return "", none(name)
	case err != nil:
		return "", err
	case answer.Code != 1:
		return "", site.Partial()
	}
	slices.SortStableFunc(answer.Values, func(a, b value) int { return cmp.Compare(a.Index, b.Index) })
	for _, v := range answer.Values {
		text, _ := v.Data.Value.(string)
		if v.Type == "URL" && sound(text) {
			return text, nil
		}
	}
	return "", none(name)
}

func sound(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(address) <= 4096 &&
		!strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func none(name string) error {
	return &daypass.Problem{
		Code: "DP-440", What: "The DOI or handle " + name + " leads to no page", Why: "it is not registered, or stands for no address", Next: "Look for a typing error; new DOIs need some hours until they work.",
		Kind: daypass.ErrRefused, Err: daypass.ErrNoSource,
	}
}
