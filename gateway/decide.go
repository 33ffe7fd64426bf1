package gateway

import "github.com/daypass-dev/daypass/pass"

// decide returns the facts that a pass with these rights is to be checked
// against: its Check has the last word. Address, and KindUses in SeesTo, are
// the caller's to add. Errors are *fault.
func decide(m Mode, a action, r pass.Rights, o options) (pass.Facts, error) {
	return pass.Facts{}, &fault{status: 403}
}
