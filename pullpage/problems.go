package pullpage

import (
	"strconv"

	"github.com/daypass-dev/daypass"
)

const askInstructor = "Tell whoever gave you the link."

func badLink(why string) error {
	return &daypass.Problem{Code: "DP-375", What: "this link cannot be followed", Why: why, Next: "Check that it was copied whole.", Who: askInstructor, Kind: daypass.ErrUsage}
}

func badFolder(folder, why string) error {
	return &daypass.Problem{Code: "DP-376", What: "this link would put its files into " + quoted(folder), Why: why,
		Next: "Nothing was changed. Use a link that names a folder of its own (targetpath=…).", Who: askInstructor, Kind: daypass.ErrRefused}
}

func badTarget(why string) error {
	return &daypass.Problem{Code: "DP-377", What: "this link would send you to another place than your own server", Why: why,
		Next: "Nothing was changed.", Who: askInstructor, Kind: daypass.ErrRefused}
}

func secretLink() error {
	return &daypass.Problem{Code: "DP-378", What: "this link has a password or a token in it", Why: "everybody who sees the link can use that",
		Next: "Nothing was changed. Ask for a link without one.", Who: "Whoever made the link should end that token today.", Kind: daypass.ErrRefused}
}

func badSettings(why string, err error) error {
	return &daypass.Problem{Code: "DP-379", What: "the page cannot start", Why: why, Next: "Run \"daypass doctor\".", Who: "Whoever runs this server can install daypass again.", Err: err}
}

// quoted shows a text from outside within a sentence.
func quoted(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}
