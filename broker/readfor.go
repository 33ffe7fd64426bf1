package broker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// ReadsFor reports whether what was read as somebody ([Reading.As]) may be kept: for
// "person:", whether they are here and not cut off. What was read before the store was
// restored is nobody's any more; what another store's people read is not ours to judge.
func (b *Broker) ReadsFor(ctx context.Context, as string) (bool, error) {
	rest, person := strings.CutPrefix(as, asPersons)
	number, at, _ := strings.Cut(rest, "@")
	instance, epoch, _ := strings.Cut(at, ".")
	if !person || instance != b.Store.Instance() {
		return true, nil
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || epoch != fmt.Sprint(b.Store.Epoch()) {
		return false, nil
	}
	p, ok, err := b.Store.PersonByID(ctx, id)
	if err != nil {
		return true, storeProblem(err)
	}
	return ok && p.CutAt.IsZero(), nil
}
