package fake

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// workflowHook refuses a push that touches a workflow when the token's App
// may not: docs.github.com, "Permissions required for GitHub Apps", Workflows.
const workflowHook = `#!/bin/sh
[ "$FAKE_WORKFLOWS" = true ] && exit 0
while read -r old new ref; do
	case $new in *[!0]*) ;; *) continue ;; esac
	path=$(git log --format= --name-only --diff-filter=ACMRT "$new" --not --all -- .github/workflows | sed -n 1p)
	if [ -n "$path" ]; then
		echo "refusing to allow a GitHub App to create or update workflow ` + "\\`$path\\` without \\`workflows\\`" + ` permission" >&2
		exit 1
	fi
done
exit 0
`

// rewriteReport puts the hook's words where GitHub puts them: in the status
// of each ref, "! [remote rejected] main -> main (refusing to allow …)",
// instead of "pre-receive hook declined". Anything that does not look like a
// refusal by the hook is returned as it came. The format is that of
// gitprotocol-pack(5), "Report Status", in side-band-64k.
func rewriteReport(body []byte) []byte {
	const declined = "pre-receive hook declined"
	var said, report bytes.Buffer
	for rest := body; len(rest) >= 4; {
		line, after, ok := pktLine(rest)
		if !ok {
			return body
		}
		rest = after
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case 1:
			report.Write(line[1:])
		case 2:
			said.Write(line[1:])
		default:
			return body
		}
	}
	reason := strings.TrimSpace(said.String())
	if !strings.HasPrefix(reason, "refusing to allow") {
		return body
	}
	var out bytes.Buffer
	found := false
	for rest := report.Bytes(); len(rest) >= 4; {
		line, after, ok := pktLine(rest)
		if !ok {
			return body
		}
		rest = after
		if len(line) > 0 {
			found = found || bytes.Contains(line, []byte(declined))
			writePkt(&out, bytes.Replace(line, []byte(declined), []byte(reason), 1))
		}
	}
	if !found {
		return body // nothing to put them in
	}
	out.WriteString("0000")
	var band bytes.Buffer
	writePkt(&band, append([]byte{1}, out.Bytes()...))
	band.WriteString("0000")
	return band.Bytes()
}

// pktLine takes one line off b. A flush is an empty line.
func pktLine(b []byte) (line, rest []byte, ok bool) {
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil || n != 0 && n < 4 || int(n) > len(b) {
		return nil, nil, false
	}
	if n == 0 {
		return nil, b[4:], true
	}
	return b[4:n], b[n:], true
}

func writePkt(w *bytes.Buffer, line []byte) {
	fmt.Fprintf(w, "%04x", len(line)+4)
	w.Write(line)
}

// A bufferedResponse keeps an answer until it is sent.
type bufferedResponse struct {
	header http.Header
	status int
	body   []byte
}

func (b *bufferedResponse) Header() http.Header { return b.header }

func (b *bufferedResponse) WriteHeader(status int) {
	if b.status == 0 {
		b.status = status
	}
}

func (b *bufferedResponse) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	b.body = append(b.body, p...)
	return len(p), nil
}

// send copies the answer to w.
func (b *bufferedResponse) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), b.header)
	status := orElse(b.status, http.StatusOK)
	if status != http.StatusNoContent && status != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.Itoa(len(b.body)))
	}
	w.WriteHeader(status)
	w.Write(b.body)
}
