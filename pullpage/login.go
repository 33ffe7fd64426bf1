package pullpage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

// sealedLogin is the parameter in which a link goes on that held a password or a
// token: sealed, so that none of our pages, forms and addresses shows it, and nothing
// but this very server opens it.
const sealedLogin = "daypass-login"

// withoutLogin returns a link's query with its login sealed; false where there is none.
func (s *Server) withoutLogin(raw string, v Values) (string, bool, error) {
	without, login := pull.SplitLogin(v["repo"])
	if login.IsZero() {
		return "", false, nil
	}
	sealed, err := s.sealLogin(login)
	if err != nil {
		return "", false, err
	}
	var out []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		// A repo that was given twice may hold a login in the one that does not count.
		if name = unescape(name); pair != "" && name != "repo" && name != sealedLogin {
			out = append(out, pair)
		}
	}
	return strings.Join(append(out, "repo="+url.QueryEscape(without), sealedLogin+"="+sealed), "&"), true, nil
}

func (s *Server) loginSeal() (cipher.AEAD, error) {
	m := hmac.New(sha256.New, s.key)
	_, _ = m.Write([]byte(sealedLogin)) // a hash takes everything
	block, err := aes.NewCipher(m.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s *Server) sealLogin(login daypass.Secret) (string, error) {
	seal, err := s.loginSeal()
	if err != nil {
		return "", err
	}
	nonce := make([]byte, seal.NonceSize())
	if _, err := io.ReadFull(s.c.Random, nonce); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(seal.Seal(nonce, nonce, []byte(login.Reveal()), nil)), nil
}

// openLogin opens it. One of another server, or of this one before it was started
// again, is too old: the link itself has it.
func (s *Server) openLogin(sealed string) (daypass.Secret, error) {
	if sealed == "" {
		return daypass.Secret{}, nil
	}
	seal, err := s.loginSeal()
	if err != nil {
		return daypass.Secret{}, err
	}
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(data) < seal.NonceSize() {
		return daypass.Secret{}, tooOld()
	}
	plain, err := seal.Open(nil, data[:seal.NonceSize()], data[seal.NonceSize():], nil)
	if err != nil {
		return daypass.Secret{}, tooOld()
	}
	return daypass.NewSecret(string(plain)), nil
}
