package merge

import "errors"

// Plan says what is to be done to bring a folder from Base to Theirs and lose nothing
// of the user's. The steps can be carried out one after the other: none
// overwrites what a later one needs. Steps that change nothing come first.
func Plan(in Input) ([]Step, error) {
	return nil, errors.New("merge: plans are not written yet")
}
