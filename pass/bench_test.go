package pass

import (
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

var sink any

func BenchmarkVerify(b *testing.B) {
	key := NewKey([]byte("0123456789abcdef0123456789abcdef"))
	p, err := Mint(key, Identity{Realm: Realm{Index, "main"}, User: "alice", ID: "abcdefghjkmnpqrs"}, "allowed=pkg_read,upload", "expires=4102444800", "indexes=alice/dev", "not_before=5", "projects=foo")
	if err != nil {
		b.Fatal(err)
	}
	text := p.Text(Devpi).Reveal()
	v := Verifier{Realm: Realm{Index, "main"}, Keys: func(Identity) (Key, error) { return key, nil }}
	now := time.Unix(1795299000, 0)
	f := Facts{Permissions: []string{"upload"}, Indexes: []string{"alice/dev"}, Projects: []string{"foo"}}
	b.ReportAllocs()
	for b.Loop() {
		p, err := Parse(daypass.NewSecret(text))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.Verify(p, f, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	p := testPass(b)
	text := p.Text(Devpi).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		sink, _ = Parse(daypass.NewSecret(text))
	}
}

func BenchmarkSix(b *testing.B) {
	k := [32]byte{}
	b.ReportAllocs()
	for b.Loop() {
		for range 6 {
			k = mac(&k, "allowed=pkg_read,upload")
		}
	}
	sink = k
}
