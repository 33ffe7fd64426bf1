package gateway

import (
	"slices"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// maxListed bounds how many listed indexes are asked for their bases.
const maxListed = 64

// decide returns the facts that a pass with these rights is to be checked
// against: its Check has the last word. Address, and KindUses in SeesTo, are
// the caller's to add. Errors are *fault.
func decide(m Mode, a action, r pass.Rights, o options) (pass.Facts, error) {
	switch a.class {
	case upstream:
	case blocked:
		return pass.Facts{}, nobody()
	case login, account:
		return pass.Facts{}, notByPass("A pass neither logs in nor changes users")
	case own:
		return pass.Facts{}, notByPass("A pass neither makes nor lists nor ends passes")
	default:
		return pass.Facts{}, noRoute()
	}
	f := pass.Facts{Access: daypass.Write}
	if a.read {
		f.Access = daypass.Read
	}
	if a.upload {
		f.SeesTo = pass.KindDigest
	}
	if m == Compat {
		return compat(a, f), nil
	}
	return strict(a, f, r, o)
}

// strict asks for all that a request touches.
func strict(a action, f pass.Facts, r pass.Rights, o options) (pass.Facts, error) {
	if a.grants {
		return pass.Facts{}, noGrant()
	}
	if a.outward && !o.pushOut && r.Limited&^(pass.KindExpires|pass.KindNotBefore) != 0 {
		return pass.Facts{}, noPushOut()
	}
	f.Permissions, f.Indexes, f.Projects, f.Waive = a.needs, a.indexes, a.projects, a.spared
	if a.listing && o.listProjects {
		f.Waive |= pass.KindProjects
	}
	if len(a.bases) > 0 {
		f.Indexes = slices.Concat(a.indexes, a.bases)
	}
	if a.read && len(a.indexes) == 1 {
		f.Indexes = []string{throughBase(a.indexes[0], r, o)}
	}
	return f, nil
}

// throughBase returns the listed index through which another may be read,
// because it is a base of it: devpi's pages of an index lead to its bases' files.
func throughBase(index string, r pass.Rights, o options) string {
	if o.isBase == nil || r.Indexes.Has(index) {
		return index
	}
	for i, listed := range r.Indexes.Names {
		if i < maxListed && isIndex(listed) && o.isBase(listed, index) {
			return listed
		}
	}
	return index
}

// compat asks for what devpi with devpi-tokens asks for. Its exceptions, which
// hold only where the fact is missing:
//
//	allowed   wherever devpi checks no permission
//	indexes   where devpi does not load the identity, or the path has no index;
//	          never for a push's target
//	projects  where devpi does not load the identity, or neither the path nor a
//	          form names a project: files, pushes, changes of an index
//
// All other limits hold everywhere, and so do the signature and the time, which
// devpi does not look at where it needs no identity.
func compat(a action, f pass.Facts) pass.Facts {
	f.Waive = scope
	f.Permissions = a.checks
	if !a.loads {
		return f
	}
	f.Projects = a.seen
	if a.index != "" {
		f.Indexes = []string{a.user + "/" + a.index}
	}
	return f
}
