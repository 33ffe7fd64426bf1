package github

import "strings"

func only(s, alphabet string) bool {
	return strings.Trim(s, alphabet) == "" && s != ""
}

const (
	decimal = "0123456789"
	hexa    = decimal + "abcdef"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// ClientIDMistake says what is wrong with the shape of a client id, or "". What
// people paste in its place is the App's number, its secret or its page.
func ClientIDMistake(s string) string {
	switch {
	case strings.Contains(s, "/"):
		return "it is a link, not a client id (are client id and App link swapped?)"
	case only(s, decimal):
		return "it is the App's number; the client id starts with Iv"
	case len(s) == 40 && only(s, hexa):
		return "it looks like a client secret; daypass needs the client id only, and the secret should be deleted at GitHub"
	case len(s) < 8 || len(s) > 64 || !only(s, letters+decimal+"._-"):
		return "it does not look like a client id, which starts with Iv"
	}
	return ""
}

// AppLinkMistake says what is wrong with the shape of an App's public page, or "".
func AppLinkMistake(s string) string {
	rest, https := strings.CutPrefix(s, "https://")
	if !https {
		rest, _ = strings.CutPrefix(s, "http://")
	}
	host, _, _ := strings.Cut(rest, "/")
	name, err := ParseHost(host)
	switch {
	case rest == s:
		return "it is no https link (are client id and App link swapped?)"
	case err != nil || strings.ContainsAny(s, "@ \"'<>\\") || plain(s) != s:
		return "it is no plain https link"
	case !https && !Loopback(hostname(name.Name)):
		return "it is not an https link"
	}
	return ""
}
