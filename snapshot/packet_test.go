package snapshot

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
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
