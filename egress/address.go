// Package egress is the way out for a service that asks addresses which other people
// chose: it connects to public addresses only, judged at the connection itself, for
// each hop anew, but for what an admin listed. The service's own git goes the same
// way, through a proxy of the process that nobody else can use.
//
// It knows no source, no credential and no rule about who may ask for what.
package egress

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/daypass-dev/daypass/provider/readonly"
)

// nat64 are the networks that translate to IPv4 (RFC 6052, RFC 8215).
func nat64() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}
}

// allowed reports whether an address may be dialled: a public one, or one that is
// listed. A listed network that translates to IPv4 (RFC 6052) opens public addresses
// only, and those that are listed themselves.
func allowed(a netip.Addr, list []netip.Prefix) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if readonly.Public(a) {
		return true
	}
	if !slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return false
	}
	for _, p := range nat64() {
		if p.Contains(a) {
			b := a.As16()
			return p.Bits() == 96 && allowed(v4(b[12:]), list)
		}
	}
	return true
}

func v4(b []byte) netip.Addr {
	var out [4]byte
	binary.BigEndian.PutUint32(out[:], binary.BigEndian.Uint32(b))
	return netip.AddrFrom4(out)
}
