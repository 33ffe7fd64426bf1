package snapshot

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

func reader(text string) *packets {
	return &packets{r: bufio.NewReaderSize(strings.NewReader(text), maxPacket)}
}

func TestPackets(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "EOF",
		"00":                 "unexpected EOF",
		"0003":               "protocol error: a packet's length is \"0003\"",
		"-001":               "protocol error: a packet's length is \"-001\"",
		"fff1":               "protocol error: a packet's length is \"fff1\"",
		"000ahi":             "unexpected EOF",
		"0010ERR not you\n":  "remote error: not you",
		"0004":               "",
		"0000":               "",
		"0006hi":             "",
		"0009ERRxx and more": "",
	} {
		_, _, err := reader(text).next()
		if got := ""; err != nil {
			if got = err.Error(); got != want {
				t.Errorf("%q: %q, want %q", text, got, want)
			}
		} else if want != "" {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestBand(t *testing.T) {
	for text, want := range map[string]string{
		"0008\x01PAC" + "0010\x02Counting: 3" + "0006\x01K" + "0000": "PACK",
		"0006\x01P0004":         "P: protocol error: an empty packet in a pack",
		"0006\x01P0006\x04x":    "P: protocol error: band 4",
		"0006\x01P0009\x03away": "P: remote error: away",
		"0006\x01P":             "P: unexpected EOF",
	} {
		var said bytes.Buffer
		data, err := io.ReadAll(&band{p: reader(text), said: &said})
		got := string(data)
		if err != nil {
			got += ": " + err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if strings.Contains(text, "Counting") && said.String() != "remote: Counting: 3\n" {
			t.Errorf("said %q", said.String())
		}
	}
}

// FuzzPackets wants an end, an error or data of everything.
func FuzzPackets(f *testing.F) {
	f.Add("0008\x01PAC0000")
	f.Fuzz(func(t *testing.T, text string) {
		p := reader(text)
		for range len(text) + 1 {
			if _, _, err := p.next(); err != nil {
				return
			}
		}
		t.Errorf("%q has no end", text)
	})
}

// FuzzAnswer wants an end or an error of everything that is sent in place of a pack, and
// no more ends of a history than there are bytes for.
func FuzzAnswer(f *testing.F) {
	ends := "0011shallow-info\n" + "0035shallow " + strings.Repeat("2", 40) + "\n" + "0001"
	pack := "000dpackfile\n" + "0008\x01PAC" + "0006\x01K" + "0000"
	f.Add(ends+pack, 1, false)
	f.Add("0014acknowledgments\n"+"000aready\n"+"0001"+pack, 0, true)
	f.Add(pack, 0, false)
	f.Fuzz(func(t *testing.T, text string, depth int, have bool) {
		l := &Line{p: reader(text), said: &said{}}
		w := want{depth: depth}
		if have {
			w.haves = []plumbing.OID{plumbing.OID(strings.Repeat("3", 40))}
		}
		in, cut, err := l.receive(w)
		if err != nil {
			return
		}
		if len(cut)*52 > len(text) || len(cut) > 0 && depth <= 0 {
			t.Errorf("%q: %d ends", text, len(cut))
		}
		for _, oid := range cut {
			if !oid.Valid() {
				t.Errorf("%q: %q", text, oid)
			}
		}
		if data, _ := io.ReadAll(in); len(data) > len(text) {
			t.Errorf("%q: %d bytes", text, len(data))
		}
	})
}

// TestLongAnswer sends more words before the pack than there are ends of any history.
func TestLongAnswer(t *testing.T) {
	end := "0034shallow " + strings.Repeat("2", 40)
	for text, fails := range map[string]error{
		"0011shallow-info\n" + strings.Repeat(end, maxHeadLines+1):                    errLarge,
		"0010shallow-info" + strings.Repeat("fff0"+strings.Repeat("x", 65516), 65):    errOther,
		"0013acknowledgments" + strings.Repeat("fff0"+strings.Repeat("x", 65516), 65): errLarge,
	} {
		l := &Line{p: reader(text), said: &said{}}
		if _, _, err := l.receive(want{depth: 1}); err != fails {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}
