package web

import (
	"bytes"
	"testing"
)

// TestNoPictureInStyles: our policy loads no data: address, so that no style sheet
// may name one; a browser would tell an error.
func TestNoPictureInStyles(t *testing.T) {
	s, err := NewStatic("/static/")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range s.files {
		if bytes.Contains(f.body, []byte(`url("data:`)) || bytes.Contains(f.body, []byte("url(data:")) {
			t.Errorf("%s has a picture in it", name)
		}
	}
	if len(s.files) == 0 {
		t.Error("no files")
	}
}
