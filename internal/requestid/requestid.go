// Package requestid names requests for logs and activity. It knows no request.
package requestid

import (
	"encoding/base32"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
)

// IDs are short, different in each process, and cost nothing.
type IDs struct {
	process string
	n       atomic.Uint64
}

// Start draws the part that tells this process from others.
func (r *IDs) Start(random io.Reader) {
	var b [5]byte
	_, _ = io.ReadFull(random, b[:]) // an id is no secret; a fixed one still counts up
	r.process = strings.ToLower(base32.StdEncoding.EncodeToString(b[:])) + "-"
}

// Next is another id, such as "k3q7m2wz-1f".
func (r *IDs) Next() string { return r.process + strconv.FormatUint(r.n.Add(1), 36) }
