package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/devpitest"
)

// certificate makes one for this machine, with its key, and the authority that
// signed it, as PEM.
func certificate(t *testing.T) (cert, key, authority string) {
	t.Helper()
	make := func(what, by *x509.Certificate, public, signer *ecdsa.PrivateKey) string {
		what.NotBefore, what.NotAfter, what.BasicConstraintsValid = time.Now().Add(-time.Hour), time.Now().Add(time.Hour), true
		der, err := x509.CreateCertificate(rand.Reader, what, by, public.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	authority = make(root, root, keys[0], keys[0])
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "this machine"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert = make(leaf, root, keys[1], keys[0])
	raw, err := x509.MarshalPKCS8PrivateKey(keys[1])
	if err != nil {
		t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), authority
}

// TestPublish: a publishing tool that knows PyPI's exchange, uv, uploads from a CI
// job with another URL and nothing else; a job that no rule is about is told why.
func TestPublish(t *testing.T) {
	issuer, at := newIssuer(t, false)
	s, index := newFakeShop(t, "EXCHANGE")
	cert, key, authority := certificate(t)
	tls := "https://" + s.listen + "/"
	s.edit("  url: "+s.url, fmt.Sprintf("  url: %s\n  tls: {cert: %s, key: %s}", tls, s.file("etc/cert.pem", cert), s.file("etc/key.pem", key)))
	s.edit("EXCHANGE", fmt.Sprintf(`exchange:
  audience: %s
  issuers: [{name: ci, kind: github, url: "%s"}]
  rules:
    - {name: release, issuer: ci, repository_id: 74, repository_owner_id: 65, ref: refs/heads/main, workflow: .github/workflows/release.yml, events: [push],
       gives: {index: {user: alice, indexes: [alice/dev], projects: [maps]}}}`, tls, at))
	index.AddUser("alice", "secret")
	ca := s.file("etc/ca.pem", authority)
	s.serveTLS(ca)
	publish := func(j fake.Job, project string) devpitest.Output {
		address, bearer := issuer.Start(j)
		d := devpitest.NewDesk(t)
		d.Env = map[string]string{
			"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": address, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer, "SSL_CERT_FILE": ca,
		}
		return d.UV("publish", "--trusted-publishing", "always", "--publish-url", tls+"alice/dev/", devpitest.Wheel(project, "1.0").Write(t, d.Home))
	}
	if o := publish(fake.Job{}, "maps"); o.Code != 0 {
		t.Fatalf("uv publish: %d\n%s", o.Code, o.All())
	}
	if got := index.Files("alice/dev"); len(got) != 1 {
		t.Errorf("the index has %v", got)
	}
	if o := publish(fake.Job{}, "other"); o.Code == 0 || !strings.Contains(o.All(), "other") {
		t.Errorf("another project: %d\n%s", o.Code, o.All())
	}
	if o := publish(fake.Job{Event: "pull_request"}, "maps"); o.Code == 0 || !strings.Contains(o.All(), "no rule gives this job a pass") {
		t.Errorf("a pull request: %d\n%s", o.Code, o.All())
	}
}
