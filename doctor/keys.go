package doctor

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"os"
	"slices"
)

// keys finds private ssh keys without a passphrase: whoever reads the file, an
// administrator or a backup, can use them for ever. Only the first bytes are
// read.
func (s *scan) keys() []Finding {
	if s.home == "" {
		return nil
	}
	d, err := os.Open(s.inHome(".ssh"))
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(1000)
	slices.Sort(names)
	var out []Finding
	for _, name := range names {
		path := s.inHome(".ssh", name)
		file, ok := open(path, 256)
		if !ok || !bytes.HasPrefix(file.text, []byte("-----BEGIN ")) {
			continue
		}
		if bare, known := withoutPassphrase(file.text); known && bare {
			out = append(out, Finding{Code: "ssh-key-bare", Level: Warn, Title: s.tilde(path) + " is an ssh key without a passphrase",
				Detail: "Whoever can read it can use it until it is revoked.",
				Fix:    "Give it one: ssh-keygen -p -f " + s.tilde(path) + "; or delete it and revoke it at https://github.com/settings/keys."})
		}
		if file.info.Mode().Perm()&0o077 != 0 {
			out = append(out, s.wide(file)...)
		}
	}
	return out
}

// withoutPassphrase tells from the first bytes of a private key. OpenSSH's own
// form names its cipher first (PROTOCOL.key); PEM says so in its headers
// (RFC 1421) or in its type (RFC 5958).
func withoutPassphrase(head []byte) (bare, known bool) {
	first, rest, ok := bytes.Cut(head, []byte("\n"))
	first = bytes.TrimSpace(first)
	if !ok || !bytes.HasSuffix(first, []byte("PRIVATE KEY-----")) {
		return false, false
	}
	switch {
	case bytes.Contains(first, []byte("OPENSSH")):
		return openSSHBare(rest)
	case bytes.Contains(first, []byte("ENCRYPTED")):
		return false, true
	}
	return !bytes.Contains(rest, []byte("ENCRYPTED")), true
}

func openSSHBare(body []byte) (bare, known bool) {
	body = bytes.Join(bytes.Fields(body), nil)
	raw := make([]byte, 48)
	if len(body) < 64 {
		return false, false
	}
	if n, err := base64.StdEncoding.Decode(raw, body[:64]); err != nil || n != 48 {
		return false, false
	}
	rest, ok := bytes.CutPrefix(raw, []byte("openssh-key-v1\x00"))
	if !ok {
		return false, false
	}
	n := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	if n > uint32(len(rest)) {
		return false, false
	}
	return string(rest[:n]) == "none", true
}
