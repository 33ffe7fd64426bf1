package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// A refusal is an answer that says no, and why.
type refusal struct {
	status  int
	problem daypass.Problem
	// text is what is told in place of the problem where devpi's clients know
	// certain words.
	text  string
	plain bool // as devpi's own code answers, without the frame of its framework
	retry time.Duration
	event string // under which it was noted; may be empty
}

func (r *refusal) Error() string { return r.problem.Error() }

func (r *refusal) Unwrap() []error { return r.problem.Unwrap() }

func (r *refusal) words() string {
	if r.text != "" {
		return r.text
	}
	if r.event != "" {
		return r.problem.Error() + " Event " + r.event + "."
	}
	return r.problem.Error()
}

func refused(code int, p daypass.Problem) *refusal { return &refusal{status: code, problem: p} }

// notAccepted is the one answer to a pass that is unknown, ended, forged, or no
// pass at all.
func notAccepted() *refusal {
	return refused(http.StatusForbidden, daypass.Problem{
		Code: "DP-985", What: "This pass is not accepted", Why: "it was not made here, was ended, or was changed on the way",
		Next: "Compare it with the list of your passes, or make a new one.", Kind: daypass.ErrRefused, Err: pass.ErrSignature,
	})
}

func contradicting(why string) *refusal {
	return refused(http.StatusBadRequest, daypass.Problem{
		Code: "DP-986", What: "It is not clear who asks", Why: why,
		Next: "Send one pass or one password, in one place.", Kind: daypass.ErrUsage,
	})
}

func otherUser() *refusal {
	return refused(http.StatusForbidden, daypass.Problem{
		Code: "DP-987", What: "Token doesn't match user name", Next: `Give the user that the pass is for, "__token__", or none.`, Kind: daypass.ErrRefused,
	})
}

// limited says which limit of a pass refused, in devpi-tokens' words where it
// has some.
func limited(r *pass.Refusal) *refusal {
	p := daypass.Problem{
		Code: "DP-988", What: limitWords(r), Why: r.Why, Next: "Ask whoever gave you the pass for one that allows this.", Kind: daypass.ErrRefused, Err: r,
	}
	if r.Caveat > 0 {
		p.Why = fmt.Sprintf("its limit %d, %s: %s", r.Caveat, printable(r.Text, 80), r.Why)
	}
	return refused(http.StatusForbidden, p)
}

func limitWords(r *pass.Refusal) string {
	_, value, _ := strings.Cut(r.Text, "=")
	value = printable(value, 40)
	item := printable(r.Item, 80)
	switch {
	case r.Unknown:
		return "The pass has a limit that nobody here understands"
	case r.Kind == pass.KindExpires:
		return "Token expired at " + value + utc(value)
	case r.Kind == pass.KindNotBefore:
		return "Token not valid before " + value + utc(value)
	case r.Kind == pass.KindIndexes && item != "":
		return "Token denied access to index '" + item + "'"
	case r.Kind == pass.KindProjects && item != "":
		return "Token denied access to project '" + item + "'"
	case r.Kind == pass.KindAllowed && item != "":
		return "The pass does not have the permission " + item
	}
	return "The pass does not allow this"
}

func utc(seconds string) string {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 || n >= daypass.Forever.Unix() {
		return ""
	}
	return " (" + time.Unix(n, 0).UTC().Format("2006-01-02 15:04:05") + "+00:00)"
}

func holderGone(user string) *refusal {
	return refused(http.StatusForbidden, daypass.Problem{
		Code: "DP-989", What: "User for token doesn't exist", Why: "devpi has no user " + printable(user, 40) + " any more",
		Next: "Ask the index's admins for an account.", Kind: daypass.ErrRefused,
	})
}

func noAdmins(user string) *refusal {
	return refused(http.StatusForbidden, daypass.Problem{
		Code: "DP-990", What: "A pass of " + printable(user, 40) + " cannot be used here", Why: "the gateway does not act as an admin of the index",
		Next: "Use a pass of an ordinary user.", Who: "The index's admins can permit it with act_as_admins.", Kind: daypass.ErrRefused,
	})
}

func notPermitted(user, index, need string) *refusal {
	return refused(http.StatusForbidden, daypass.Problem{
		Code: "DP-990", What: printable(index, 80) + " does not permit " + need + " to " + printable(user, 40), Why: "the gateway does for a pass only what the index's own lists give its user",
		Next: "Ask the index's owner.", Kind: daypass.ErrRefused,
	})
}

func tooManyBad(wait time.Duration) *refusal {
	r := refused(http.StatusTooManyRequests, daypass.Problem{
		Code: "DP-991", What: "Too many passes that are not accepted came from this address", Next: "Wait as long as Retry-After says.", Kind: daypass.ErrUnreachable,
	})
	r.retry = max(wait, time.Second)
	return r
}

func tooMuchAtOnce() *refusal {
	r := refused(http.StatusServiceUnavailable, daypass.Problem{
		Code: "DP-992", What: "The gateway has as much to do as it can", Next: "Try again in a moment.", Kind: daypass.ErrUnreachable,
	})
	r.retry = time.Second
	return r
}

func upstreamDown(err error) *refusal {
	r := refused(http.StatusServiceUnavailable, daypass.Problem{
		Code: "DP-993", What: "devpi-server cannot be reached behind the gateway", Why: "nothing was changed", Next: "Try again in a moment.",
		Who: "If it lasts, tell the index's admins: they see whether devpi-server runs.", Kind: daypass.ErrUnreachable, Err: err,
	})
	r.retry = 5 * time.Second
	return r
}

func upstreamSlow(err error) *refusal {
	return refused(http.StatusGatewayTimeout, daypass.Problem{
		Code: "DP-994", What: "devpi-server did not answer the gateway in time", Why: "whether it did what was asked is not known",
		Next: "Look at the index before you try again.", Kind: daypass.ErrUnreachable, Err: err,
	})
}

func upstreamOdd(err error) *refusal {
	return refused(http.StatusBadGateway, daypass.Problem{
		Code: "DP-995", What: "devpi-server broke off, or gave the gateway no answer that can be used", Why: "whether it did what was asked is not known",
		Next: "Look at the index before you try again.", Who: "The index's admins find the cause in the gateway's log.", Kind: daypass.ErrUnreachable, Err: err,
	})
}

func notBelieved(user string) *refusal {
	why := "devpi's secret, or the service account's password, is another than the gateway has, or their clocks differ"
	if user != "" {
		why = "it does not take the gateway for " + printable(user, 40) + ": " + why + ", or there is no such user"
	}
	return refused(http.StatusBadGateway, daypass.Problem{
		Code: "DP-996", What: "devpi-server does not believe the gateway", Why: why, Next: "Nothing was done. Tell the index's admins.",
		Who: `They make the key anew with "daypass admin devpi-key", or mend the clock.`, Kind: daypass.ErrRefused,
	})
}

func nothingHere() *refusal {
	return refused(http.StatusNotFound, daypass.Problem{
		Code: "DP-997", What: "There is nothing at this address", Next: "Check the address.", Kind: daypass.ErrUsage,
	})
}

// said is an answer in words that devpi or devpi-tokens has for it.
func said(status int, text string) *refusal {
	kind := daypass.ErrRefused
	if status == http.StatusBadRequest {
		kind = daypass.ErrUsage
	}
	return &refusal{status: status, text: text, plain: true, problem: daypass.Problem{Code: "DP-988", What: text, Kind: kind}}
}

// framed is the same inside the words of devpi's framework.
func framed(status int, text string) *refusal {
	r := said(status, text)
	r.plain = false
	return r
}

// judge makes a refusal of any error.
func judge(err error) *refusal {
	var ref *refusal
	if errors.As(err, &ref) {
		return ref
	}
	var f *fault
	if errors.As(err, &f) {
		return refused(f.status, f.Problem)
	}
	var limit *pass.Refusal
	if errors.As(err, &limit) {
		return limited(limit)
	}
	if errors.Is(err, pass.ErrSignature) {
		return notAccepted()
	}
	var p *daypass.Problem
	if errors.As(err, &p) {
		status := http.StatusServiceUnavailable
		switch {
		case errors.Is(p.Kind, daypass.ErrRefused), errors.Is(p.Kind, daypass.ErrNoLogin):
			status = http.StatusForbidden
		case errors.Is(p.Kind, daypass.ErrUsage):
			status = http.StatusBadRequest
		}
		return refused(status, *p)
	}
	return refused(http.StatusInternalServerError, daypass.Problem{
		Code: "DP-998", What: "The gateway could not do this", Why: "nothing was changed", Next: "Try again in a minute.",
		Who: "The index's admins find the cause in the gateway's log.", Err: err,
	})
}

// lead is what devpi's framework puts before a reason.
var lead = map[int]string{
	http.StatusBadRequest:   "The server could not comply with the request since it is either malformed or otherwise incorrect.",
	http.StatusUnauthorized: "This server could not verify that you are authorized to access the document you requested.",
	http.StatusForbidden:    "Access was denied to this resource.",
	http.StatusNotFound:     "The resource could not be found.",
}

// reason is the phrase behind the status. twine prints only that, and uv the same
// from "code" in JSON. devpi's client prints it before the message.
func (r *refusal) reason(how reading) string {
	if how == byDevpi {
		return http.StatusText(r.status)
	}
	return printable(r.words(), maxReason)
}

// body writes what is told, and as what. devpi's client reads JSON only where
// the type is that and nothing more.
func (r *refusal) body(how reading) (kind string, b []byte) {
	if how == asText {
		return "text/plain; charset=utf-8", []byte(printable(r.words(), 4000) + "\n")
	}
	out := map[string]string{"message": printable(r.words(), 4000)}
	if first, ok := lead[r.status]; ok && !r.plain {
		out["message"] = first + "\n\n\n" + out["message"] + "\n\n"
		out["code"], out["title"] = strconv.Itoa(r.status)+" "+r.reason(how), http.StatusText(r.status)
	}
	if !r.plain && r.problem.Code != "" {
		out["daypass"] = r.problem.Code
	}
	b, _ = json.Marshal(out) // strings can be encoded
	return "application/json", b
}

// reading is how a client reads a refusal.
type reading uint8

const (
	asText  reading = iota
	asJSON          // among other things
	byDevpi         // JSON and nothing else
)

func readingOf(h http.Header) reading {
	accept := strings.Join(h["Accept"], ",")
	if accept == "application/json" {
		return byDevpi
	}
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(kind), "application/json") {
			return asJSON
		}
	}
	return asText
}

// printable keeps a text on one line of ASCII, and short.
func printable(s string, most int) string {
	var b strings.Builder
	for _, c := range s {
		if b.Len() >= most {
			b.WriteString("...")
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// maxReason bounds the reason phrase: clients keep a status line of some KiB.
const maxReason = 400

// refuse tells an error. Over HTTP/1 net/http can neither write a reason phrase
// of our own nor wait for a client that goes on sending, so there the connection
// is taken over and closed after the answer.
func (v *visit) refuse(err error) {
	if errors.Is(err, errGone) {
		v.a.status = statusGone
		panic(http.ErrAbortHandler)
	}
	ref := judge(err)
	v.a.code = ref.problem.Code
	v.tell(ref)
	how := readingOf(v.r.Header)
	kind, body := ref.body(how)
	h := http.Header{}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Devpi-Api-Version", "2")
	h.Set("Cache-Control", "no-store")
	if ref.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((ref.retry+time.Second-1)/time.Second)))
	}
	if v.r.ProtoMajor == 1 && (how != byDevpi || v.in.open()) && v.takeOver(ref, ref.reason(how), h, body) {
		return
	}
	for name := range h {
		v.a.Header()[name] = h[name]
	}
	v.in.rest()
	v.a.WriteHeader(ref.status)
	if v.r.Method != http.MethodHead {
		_, _ = v.a.Write(body) // the client may have left
	}
}

// takeOver writes the answer by itself. It reports false where it could not,
// and then nothing was written.
func (v *visit) takeOver(ref *refusal, reason string, h http.Header, body []byte) bool {
	v.in.stop()
	conn, rw, err := http.NewResponseController(v.a).Hijack()
	if err != nil {
		v.in.rest()
		return false
	}
	defer func() { _ = conn.Close() }()
	v.a.status = ref.status
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = conn.SetDeadline(time.Now().Add(idle))
	_, _ = fmt.Fprintf(rw, "HTTP/1.1 %03d %s\r\n", ref.status, reason)
	_ = h.Write(rw)
	_, _ = rw.WriteString("\r\n")
	if v.r.Method != http.MethodHead {
		_, _ = rw.Write(body)
	}
	if rw.Flush() == nil && v.in.open() {
		v.g.linger(conn, rw.Reader)
	}
	return true
}

const (
	lingerFor  = 2 * time.Minute
	lingerIdle = 5 * time.Second
)

// linger reads what a client still sends and throws it away, for a while: where
// a connection is closed on one that sends, it never sees the answer.
func (g *Gateway) linger(conn net.Conn, r *bufio.Reader) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	select {
	case g.lingering <- struct{}{}:
		defer func() { <-g.lingering }()
	default:
		return
	}
	buffer := g.buffers.Get().(*[]byte)
	defer g.buffers.Put(buffer)
	for end := time.Now().Add(lingerFor); time.Now().Before(end); {
		_ = conn.SetReadDeadline(time.Now().Add(lingerIdle))
		if _, err := r.Read(*buffer); err != nil {
			return
		}
	}
}
