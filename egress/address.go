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
)

// special are the ranges of IPv4 that are no public unicast, after IANA's registry of
// special-purpose addresses (RFC 6890 and what amended it).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
}

// Of IPv6 only what is given out to networks is public, without what in there leads
// elsewhere: Teredo and other protocols' own, 6to4, and what books use.
var (
	unicast6 = []netip.Prefix{netip.MustParsePrefix("2000::/3")}
	special6 = []netip.Prefix{
		netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"),
	}
	nat64 = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}
)

// Public reports whether an address is of the public internet: no loopback, private,
// shared, link-local, multicast, reserved or documentation address, in no disguise.
func Public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case a.Is4():
		return !slices.ContainsFunc(special, within)
	case a.Is6():
		return slices.ContainsFunc(unicast6, within) && !slices.ContainsFunc(special6, within)
	}
	return false
}

// allowed reports whether an address may be dialled: a public one, or one that is
// listed. A listed network that translates to IPv4 (RFC 6052) opens public addresses
// only, and those that are listed themselves.
func allowed(a netip.Addr, list []netip.Prefix) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if Public(a) {
		return true
	}
	if !slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return false
	}
	for _, p := range nat64 {
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
