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
		Next: "Nothing was changed.", Who: "Tell whoever gave you the link: it has to name a folder of its own (targetpath=…).", Kind: daypass.ErrRefused}
}

func badTarget(why string) error {
	return &daypass.Problem{Code: "DP-377", What: "this link would send you to another place than your own server", Why: why,
		Next: "Nothing was changed.", Who: askInstructor, Kind: daypass.ErrRefused}
}

func secretLink() error {
	return &daypass.Problem{Code: "DP-378", What: "this link has a password or a token in a place where it cannot be used", Why: "everybody who sees the link has it",
		Next: "Nothing was changed. Ask for a link without one.", Who: "Whoever made the link should end that token today.", Kind: daypass.ErrRefused}
}

func badSettings(why string, err error) error {
	return &daypass.Problem{Code: "DP-379", What: "the page cannot start", Why: why, Next: "Run \"daypass doctor\".", Who: "Whoever runs this server can install daypass again.", Err: err}
}

func badParent(parent string) error {
	return &daypass.Problem{Code: "DP-363", What: "the folder for course files " + quoted(parent) + " is not right", Why: "it does not lie below what this server shows, or is hidden",
		Next: "Nothing was changed.", Who: "Whoever runs this server corrects NBGITPULLER_PARENTPATH or DAYPASS_PULL_PARENT: a folder such as courses."}
}

// quoted shows a text from outside within a sentence.
func quoted(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

func tooOld() error {
	return &daypass.Problem{Code: "DP-380", What: "this page has been open for too long, or its button was used already", Next: "Click the link again.", Kind: daypass.ErrRefused}
}

func notFromHere(why string) error {
	return &daypass.Problem{Code: "DP-381", What: "this was not asked for by a page of daypass", Why: why, Next: "Nothing was changed. Click the link itself.", Kind: daypass.ErrRefused}
}

func noSuchPull() error {
	return &daypass.Problem{Code: "DP-383", What: "what became of this pull is not known any more", Next: "Click the link again. What it brought is in your files."}
}

func otherPull(folder string) error {
	return &daypass.Problem{Code: "DP-384", What: "other content is just being brought into " + quoted(folder), Next: "Wait for a minute, then click the link again."}
}

func brokenOff(err error) *daypass.Problem {
	return &daypass.Problem{Code: "DP-385", What: "the pull broke off without saying why", Next: "Your files are as they were, or the next click finishes what was begun. Click the link again.",
		Who: "If that does not help, send the text below to your instructor.", Err: err}
}

func noSuchFile() error {
	return &daypass.Problem{Code: "DP-386", What: "this file is not one that an update has told of", Next: "Open it in your files instead.", Kind: daypass.ErrUsage}
}

func notShown(why string) error {
	return &daypass.Problem{Code: "DP-387", What: "this file cannot be shown here", Why: why, Next: "Open it in your files instead."}
}

func tooMuch() error {
	return &daypass.Problem{Code: "DP-388", What: "the page has too much to do", Next: "Try again in a few minutes."}
}

func nowhere() error {
	return &daypass.Problem{Code: "DP-389", What: "there is nothing at this address", Next: "Click the link again."}
}

func badState(err error) error {
	return &daypass.Problem{Code: "DP-390", What: "the page cannot keep what it has to", Why: err.Error(), Next: "Make room in your home, and click the link again.",
		Who: "If that does not help, ask whoever runs this server.", Err: err}
}

func noProgram(err error) error {
	return &daypass.Problem{Code: "DP-391", What: "daypass itself could not be started", Next: "Nothing was changed.", Who: "Whoever runs this server can install daypass again.", Err: err}
}

func badPlace(why string) error {
	return &daypass.Problem{Code: "DP-392", What: "the page does not listen where it was told to", Why: why, Next: "Start it with --socket in a folder of its own that is 0700, or with --port and a secret in " + SecretVariable + ".", Kind: daypass.ErrUsage}
}
