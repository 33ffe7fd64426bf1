package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// maxOwnBody is of a request that we read ourselves.
const maxOwnBody = 64 << 10

// longest is how long a token of an ordinary user may live: devpi-tokens' leap
// year and ten seconds.
const longest = 366*24*time.Hour + 10*time.Second

// tokens serves the addresses of devpi-tokens, with its answers.
func (v *visit) tokens() error {
	view := map[string]string{http.MethodPost: "user_token_create", http.MethodGet: "user_tokens_info", http.MethodDelete: "user_token_delete"}[v.req.method]
	denied := framed(http.StatusForbidden, "Unauthorized: "+view+" failed permission check")
	if v.cred.isPass() {
		return denied
	}
	// First, so that who asks is not the one before the account that is found.
	account, unasked := v.account(v.act.user)
	caller, err := v.g.standing(v.r.Context(), v.ownHeaders())
	if err != nil {
		return err
	}
	switch {
	case !v.g.mayKeep(caller, v.act.user):
		return denied
	case unasked != nil:
		return unasked
	case caller.name != v.act.user && !account.there:
		return said(http.StatusNotFound, "no user '"+printable(v.act.user, 80)+"'")
	case v.req.method == http.MethodPost:
		return v.createToken(caller, account)
	case v.req.method == http.MethodGet:
		return v.listTokens(account)
	}
	return v.endToken(caller)
}

func (v *visit) ownHeaders() http.Header {
	h := http.Header{}
	maps.Copy(h, v.cred.header)
	return h
}

// mayKeep is devpi's rule for user_modify. devpi-tokens lets an admin make
// tokens for root; here nobody does but root.
func (g *Gateway) mayKeep(caller standing, user string) bool {
	switch {
	case caller.name == "" || user == "root" && caller.name != "root":
		return false
	case len(g.c.Admins) == 0:
		return caller.name == "root" || caller.name == user
	case slices.Contains(g.c.Admins, caller.name):
		return true
	}
	return slices.ContainsFunc(caller.groups, func(group string) bool { return slices.Contains(g.c.Admins, ":"+group) })
}

// mayExceed is who may ask for more than a year. Groups do not count there.
func (g *Gateway) mayExceed(caller standing) bool {
	if len(g.c.Admins) == 0 {
		return caller.name == "root"
	}
	return slices.Contains(g.c.Admins, caller.name)
}

// account asks devpi for a user, with the caller's own credentials.
func (v *visit) account(user string) (holder, error) {
	var got userRecord
	status, err := v.g.ask(v.r.Context(), http.MethodGet, "/"+url.PathEscape(user), v.ownHeaders(), nil, &got)
	switch {
	case err != nil:
		return holder{}, err
	case status == http.StatusOK:
		return holder{true, got.since()}, nil
	case status == http.StatusNotFound:
		return holder{}, nil
	}
	return holder{}, upstreamOdd(errNoStatus)
}

func (v *visit) createToken(caller standing, account holder) error {
	b, err := v.ownBody()
	if err != nil {
		return err
	}
	asked, err := readWish(b, v.g.c.Now(), v.g.mayExceed(caller))
	if err != nil {
		return err
	}
	token, err := v.g.c.Passes.Mint(v.r.Context(), NewToken{
		User: v.act.user, By: caller.name, Limits: asked.limits, Label: asked.label, From: v.from, Since: account.since,
	})
	var limit *pass.LimitError
	if errors.As(err, &limit) {
		return said(http.StatusBadRequest, limit.Error())
	}
	if err != nil {
		return err
	}
	return v.reply(map[string]any{"type": "token-info", "result": map[string]string{"token": token.Reveal()}})
}

func (v *visit) listTokens(account holder) error {
	list, err := v.g.c.Passes.List(v.r.Context(), v.act.user)
	if err != nil {
		return err
	}
	out := map[string]tokenInfo{}
	for _, t := range list {
		if account.has(t.Since, t.Created) {
			out[t.ID] = infoOf(t)
		}
	}
	return v.reply(map[string]any{"type": "tokens-info", "result": map[string]any{"tokens": out}})
}

// tokenInfo is a token in the list. All but the restrictions is ours:
// devpi-tokens' client reads only those. What is not known, or does not come, is
// left out; times are in UTC, to the second.
type tokenInfo struct {
	Restrictions []string  `json:"restrictions"`
	Label        string    `json:"label,omitempty"`
	Created      time.Time `json:"created,omitzero"`
	Used         time.Time `json:"used,omitzero"`
	Until        time.Time `json:"until,omitzero"`
	Uses         int64     `json:"uses"` // requests that were let in
}

func infoOf(t Token) tokenInfo {
	second := func(at time.Time) time.Time {
		if at.IsZero() || !at.Before(daypass.Forever) {
			return time.Time{}
		}
		return at.UTC().Truncate(time.Second)
	}
	return tokenInfo{append([]string{}, t.Caveats...), t.Label, second(t.Created), second(t.Used), second(t.Until), t.Uses}
}

func (v *visit) endToken(caller standing) error {
	ended, err := v.g.c.Passes.End(v.r.Context(), v.act.user, v.act.tokenID, caller.name)
	switch {
	case err != nil:
		return err
	case !ended:
		return framed(http.StatusNotFound, "No token with id "+printable(v.act.tokenID, 80))
	}
	return v.reply(map[string]string{"message": "token " + printable(v.act.tokenID, 80) + " deleted"})
}

// A wish is what somebody wants a token to be.
type wish struct {
	limits pass.Limits
	label  string
}

// readWish reads what devpi-tokens' client asks for, and finds the same faults in
// the same order: the keys go by name. What makes devpi-tokens stumble is a fault
// here. "label" is ours.
func readWish(body []byte, now time.Time, exceed bool) (wish, error) {
	asked := map[string]json.RawMessage{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &asked); err != nil || asked == nil {
			return wish{}, said(http.StatusBadRequest, "Bad request: the restrictions must be a JSON object")
		}
	}
	if _, ok := asked["expires"]; !ok {
		asked["expires"] = json.RawMessage("null")
	}
	w := wish{limits: pass.Limits{BareIndexes: true}}
	for _, key := range slices.Sorted(maps.Keys(asked)) {
		if err := w.read(key, asked[key], now, exceed); err != nil {
			return wish{}, err
		}
	}
	if _, err := w.limits.Caveats(); err != nil {
		return wish{}, said(http.StatusBadRequest, err.Error())
	}
	return w, nil
}

func (w *wish) read(key string, raw json.RawMessage, now time.Time, exceed bool) (err error) {
	l := &w.limits
	switch key {
	case "allowed":
		l.Allowed, err = readItems(key, raw)
	case "indexes":
		l.Indexes, err = readItems(key, raw)
	case "projects":
		l.Projects, err = readItems(key, raw)
	case "expires":
		l.Expires, err = readExpires(raw, now, exceed)
	case "label":
		w.label, err = readLabel(raw)
	case "not_before":
		n, ok := readSeconds(raw)
		if !ok || n < 0 || n >= daypass.Forever.Unix() {
			return said(http.StatusBadRequest, "Invalid value '"+shownValue(raw)+"' for not before")
		}
		l.NotBefore = time.Unix(n, 0).UTC()
	default:
		return said(http.StatusBadRequest, "Unknown restriction '"+printable(key, 80)+"'.")
	}
	return err
}

const maxLabel = 100 // characters

// readLabel keeps of a label what can be seen: it is shown in lists and records.
func readLabel(raw json.RawMessage) (string, error) {
	var label *string
	if json.Unmarshal(raw, &label) != nil || label == nil {
		return "", said(http.StatusBadRequest, "The label must be a string")
	}
	seen := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, *label)
	seen = strings.Join(strings.Fields(seen), " ")
	if utf8.RuneCountInString(seen) > maxLabel {
		return "", said(http.StatusBadRequest, fmt.Sprintf("The label is longer than %d characters", maxLabel))
	}
	return seen, nil
}

func readItems(name string, raw json.RawMessage) ([]string, error) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || items == nil {
		return nil, said(http.StatusBadRequest, "The "+name+" restriction must be a list")
	}
	out := []string{} // an empty list allows none
	for i, item := range items {
		var s *string
		switch {
		case json.Unmarshal(item, &s) != nil || s == nil:
			return nil, said(http.StatusBadRequest, fmt.Sprintf("Item at position %d is not a string in %s list", i+1, name))
		case *s == "":
			return nil, said(http.StatusBadRequest, fmt.Sprintf("Empty item at position %d in %s list", i+1, name))
		}
		out = append(out, *s)
	}
	return out, nil
}

func readExpires(raw json.RawMessage, now time.Time, exceed bool) (time.Time, error) {
	var word *string
	if json.Unmarshal(raw, &word) == nil {
		switch {
		case word == nil: // null
			return now.Add(longest).Truncate(time.Second), nil
		case *word == "never" && !exceed:
			return time.Time{}, said(http.StatusForbidden, "Not allowed to create token with no expiration")
		case *word == "never":
			return daypass.Forever, nil
		}
	}
	n, ok := readSeconds(raw)
	switch {
	case !ok:
		return time.Time{}, said(http.StatusBadRequest, "Invalid value '"+shownValue(raw)+"' for expiration")
	case n <= now.Unix():
		return time.Time{}, said(http.StatusBadRequest, "Can't set expiration before current time")
	case n > now.Add(longest).Unix() && !exceed:
		return time.Time{}, said(http.StatusForbidden, "Not allowed to set expiration to more than one year")
	case n >= daypass.Forever.Unix():
		return time.Time{}, said(http.StatusBadRequest, "Invalid value '"+shownValue(raw)+"' for expiration")
	}
	return time.Unix(n, 0).UTC(), nil
}

// readSeconds reads a number, which may be a fraction or a text.
func readSeconds(raw json.RawMessage) (int64, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		return n, err == nil && string(raw) != "null"
	}
	var n json.Number
	if json.Unmarshal(raw, &n) != nil {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	if err != nil || !(f > -1e15 && f < 1e15) {
		return 0, false
	}
	return int64(f), true
}

func shownValue(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil && string(raw) != "null" {
		return printable(s, 80)
	}
	return printable(string(raw), 80)
}

// ownBody reads a small body whole.
func (v *visit) ownBody() ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(v.in, maxOwnBody+1))
	if err != nil {
		if failure := v.in.failure(); failure != nil {
			return nil, failure
		}
		return nil, errGone
	}
	if len(b) > maxOwnBody {
		return nil, said(http.StatusRequestEntityTooLarge, "The request is larger than any real one")
	}
	return b, nil
}

// reply answers with JSON. devpi's client reads it only under exactly this type.
func (v *visit) reply(out any) error { return v.replyAs(http.StatusOK, out) }

func (v *visit) replyAs(status int, out any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return err
	}
	h := v.a.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Devpi-Api-Version", "2")
	v.a.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.a.Write(b.Bytes()) // the client may have left
	}
	return nil
}

// login is devpi's, but for passes, which it is never shown: with one as the
// password the answer is what devpi says to a wrong one.
func (v *visit) login() error {
	if v.req.method != http.MethodPost {
		return v.ordinary()
	}
	b, err := v.ownBody()
	if err != nil {
		return err
	}
	s := v.sending()
	if v.cred.isPass() {
		s.header = onward(v.r.Header, false) // a stored token of devpi's client, which counts for nothing here
	}
	var asked map[string]json.RawMessage
	if json.Unmarshal(b, &asked) == nil && asked != nil {
		if b, err = cleanLogin(asked); err != nil {
			return err
		}
	} else if hidesPass(b) {
		return noLogin("")
	}
	s.body, s.length = bytes.NewReader(b), int64(len(b))
	return v.forward(s)
}

// cleanLogin writes again what devpi reads: of repeated keys the last.
func cleanLogin(asked map[string]json.RawMessage) ([]byte, error) {
	out := map[string]string{}
	for _, key := range []string{"user", "password"} {
		raw, ok := asked[key]
		if !ok {
			continue
		}
		var s *string
		if json.Unmarshal(raw, &s) != nil {
			return nil, said(http.StatusBadRequest, "Bad request: user and password must be texts")
		}
		if s != nil {
			out[key] = *s
		}
	}
	for key, text := range out {
		if p, bad := readPass(text); !p.IsZero() || bad && (key == "password" || len(text) > longestName) {
			return nil, noLogin(out["user"])
		}
	}
	return json.Marshal(out)
}

// hidesPass looks for a pass in a form, or in anything else.
func hidesPass(body []byte) bool {
	values, _ := url.ParseQuery(string(body)) // what can be read of it
	for _, list := range values {
		if holdsPass(list) {
			return true
		}
	}
	return slices.ContainsFunc(bytes.FieldsFunc(body, func(c rune) bool { return strings.ContainsRune(" \t\r\n\"'=&:,;<>{}[]", c) }), func(word []byte) bool {
		return len(word) > longestName && looksLike(string(word))
	})
}

func noLogin(user string) error {
	return said(http.StatusUnauthorized, "user '"+printable(user, 80)+"' could not be authenticated")
}

func (v *visit) health() error {
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
		return nothingHere()
	}
	return v.reply(map[string]string{"status": "ok"})
}

// endShown ends the pass that is shown, with all that were narrowed from it, for
// whoever holds it: a found pass, or one that a job has done with. What it was
// narrowed from goes on.
func (v *visit) endShown() error {
	if v.r.Method != http.MethodPost {
		return nothingHere()
	}
	var err error
	if v.cred, err = readCredential(v.r.Header, v.g.c.Mode); err != nil {
		return v.bad(err)
	}
	if !v.cred.isPass() {
		return notAccepted()
	}
	if err := v.open(); err != nil {
		return err
	}
	event, err := v.g.c.Passes.EndShown(v.r.Context(), v.cred.pass, v.from)
	if errors.Is(err, pass.ErrSignature) {
		return notAccepted() // somebody else was faster
	}
	if err != nil {
		return err
	}
	return v.reply(map[string]any{"type": "token-ended", "result": map[string]string{"event": event}})
}

// audience tells a CI job what to ask its issuer for, as PyPI does.
func (v *visit) audience() error {
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
		return nothingHere()
	}
	return v.reply(map[string]string{"audience": v.g.c.Exchange.Audience})
}

// mint turns the identity of a CI job into a pass, in the shape of PyPI's
// mint-token.
func (v *visit) mint() error {
	if v.r.Method != http.MethodPost {
		return nothingHere()
	}
	if wait := v.g.strangers.wait(place(v.from), v.g.c.Now()); wait > 0 {
		return tooManyBad(wait)
	}
	b, err := v.ownBody()
	if err != nil {
		return err
	}
	var asked struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(b, &asked) != nil || asked.Token == "" {
		return v.notMinted(http.StatusUnprocessableEntity, "invalid-payload", "the body has to be a JSON object with the text \"token\"")
	}
	got, err := v.g.c.Exchange.Mint(context.WithoutCancel(v.r.Context()), daypass.NewSecret(asked.Token), v.from)
	if err != nil {
		ref := judge(err)
		v.tell(ref)
		status := ref.status
		if status < 500 {
			v.g.strangers.take(place(v.from), v.g.c.Now())
			status = http.StatusUnprocessableEntity
		}
		return v.notMinted(status, "invalid-token", printable(ref.words(), 1000))
	}
	return v.reply(map[string]any{"success": true, "token": got.Token.Reveal(), "expires": got.Expires.Unix()})
}

func (v *visit) notMinted(status int, code, why string) error {
	return v.replyAs(status, map[string]any{
		"success": false, "message": "Token request failed", "errors": []map[string]string{{"code": code, "description": why}},
	})
}
