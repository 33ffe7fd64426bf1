package daypass

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hidden = "ghu_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"

// shows reports whether text holds the secret or a part of it in a form that a
// verb gives it.
func shows(text string) bool {
	for _, form := range []string{hidden[8:20], fmt.Sprintf("%x", hidden[8:20]), fmt.Sprintf("%X", hidden[8:20]), fmt.Sprint([]byte(hidden[8:14]))[1:20]} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func TestSecretShowsNowhere(t *testing.T) {
	s := NewSecret(hidden)
	holder := struct {
		Public string
		Token  Secret
		token  Secret
		List   []Secret
		Map    map[string]Secret
		Ptr    *Secret
	}{"x", s, s, []Secret{s}, map[string]Secret{"k": s}, &s}
	values := []any{s, &s, holder, &holder, []Secret{s}, map[Secret]int{s: 1}, Credential{Token: s}, any(s)}
	for _, v := range values {
		for c := byte('!'); c <= '~'; c++ {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "40", ".3"} {
				if text := fmt.Sprintf("%"+flags+string(c), v); shows(text) {
					t.Errorf("%%%s%c of %T shows %q", flags, c, v, text)
				}
			}
		}
		if text := fmt.Sprint(v) + fmt.Sprintln(v) + fmt.Errorf("x: %v", v).Error(); shows(text) {
			t.Errorf("printing %T shows %q", v, text)
		}
		b, _ := json.Marshal(v)
		x, _ := xml.Marshal(v)
		var g bytes.Buffer
		_ = gob.NewEncoder(&g).Encode(v)
		if shows(string(b) + string(x) + g.String()) {
			t.Errorf("an encoder shows %T", v)
		}
		var text, js bytes.Buffer
		for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&js, nil))} {
			log.Info("x", "v", v, slog.Any("w", v), slog.Group("g", "v", v))
			log.With("v", v).Error("y", "err", fmt.Errorf("z: %+v", v))
		}
		if shows(text.String()) || shows(js.String()) || !strings.Contains(text.String(), "msg=x") {
			t.Errorf("a log shows %T: %s%s", v, text.String(), js.String())
		}
	}
	if _, err := json.Marshal(s); err == nil || shows(err.Error()) {
		t.Errorf("json.Marshal = %v, want an error that tells nothing", err)
	}
}

func TestSecret(t *testing.T) {
	if s := NewSecret(hidden); s.Reveal() != hidden || s.IsZero() || !s.Equal(NewSecret(hidden)) || s.Equal(NewSecret(hidden[1:])) {
		t.Error("a secret is not itself")
	}
	if s := NewSecret(""); !s.IsZero() || s != (Secret{}) || s.Reveal() != "" {
		t.Error("the empty secret is not the zero one")
	}
	for in, want := range map[string]string{hidden: "ghu_…6789", "short": "…", "github_pat_11ABCDEFG0123456789": "github_pat_…6789", "nounderscoreatall": "…tall"} {
		if got := NewSecret(in).Hint(); got != want {
			t.Errorf("Hint of %q = %q, want %q", in, got, want)
		}
	}
}

func TestProblem(t *testing.T) {
	p := &Problem{Code: "DP-204", What: "GitHub did not grant access to octo/data", Why: "the App is not installed there", Next: "Install it.", Kind: ErrRefused, Err: errors.New("inner")}
	if got, want := p.Error(), "GitHub did not grant access to octo/data: the App is not installed there. Install it. [DP-204]"; got != want {
		t.Errorf("Error = %q, want %q", got, want)
	}
	if !errors.Is(p, ErrRefused) || ExitCode(fmt.Errorf("x: %w", p)) != 4 || ExitCode(nil) != 0 || ExitCode(errors.New("x")) != 1 {
		t.Error("a problem is not of its kind")
	}
}
