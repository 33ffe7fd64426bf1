package pull

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRenewGivenAway: who was silent for so long that the lock is another's leaves it so.
func TestRenewGivenAway(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := filepath.Join(d.home, "lock")
	l, err := d.p.acquire(t.Context(), file, d.folder)
	if err != nil {
		t.Fatal(err)
	}
	if !l.renew() {
		t.Error("it is not ours any more")
	}
	other := `{"pid":7,"host":"elsewhere","nonce":"other"}`
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if l.renew() {
		t.Error("it is ours again")
	}
	l.release()
	if data, _ := os.ReadFile(file); string(data) != other {
		t.Errorf("%s", data)
	}
}
