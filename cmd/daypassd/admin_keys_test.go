package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

func TestKeysInit(t *testing.T) {
	o := newOffice(t, "")
	path := filepath.Join(o.dir, "etc", "new.json")
	o.wants(0, []string{path, "keys: file:" + path, "apart from"}, "keys", "init", path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.ParseKeys(text); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	o.wants(1, []string{"DP-951", "there is a file of that name"}, "keys", "init", path)
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, text) {
		t.Error("the keys were overwritten")
	}
	link := filepath.Join(o.dir, "etc", "link.json")
	if err := os.Symlink(filepath.Join(o.dir, "etc", "elsewhere.json"), link); err != nil {
		t.Fatal(err)
	}
	o.wants(1, []string{"DP-951"}, "keys", "init", link)
	for _, bad := range []string{"store/keys.json", "store/below/keys.json", "etc/../store/keys.json"} {
		o.wants(1, []string{"DP-936"}, "keys", "init", filepath.Join(o.dir, bad))
	}
	open := filepath.Join(o.dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	o.wants(1, []string{"DP-951", "others can write"}, "keys", "init", filepath.Join(open, "keys.json"))
	o.wants(1, []string{"DP-951"}, "keys", "init", filepath.Join(o.dir, "nowhere", "keys.json"))
	// Also before there is a whole configuration.
	o.file("etc/server.yaml", "store: sqlite:"+o.dir+"/store/daypass.db\n")
	o.wants(1, []string{"DP-936"}, "keys", "init", filepath.Join(o.dir, "store", "keys.json"))
	o.wants(0, nil, "keys", "init", filepath.Join(o.dir, "etc", "early.json"))
}

func (o *office) keyIDs() []keyLine {
	o.t.Helper()
	var list []keyLine
	if err := json.Unmarshal([]byte(o.wants(0, nil, "keys", "show", "--json")), &list); err != nil {
		o.t.Fatal(err)
	}
	return list
}

// TestRotateUnderLoad: people are given tokens without one failure while the keys
// are replaced, and the service starts again with what is left in the file.
func TestRotateUnderLoad(t *testing.T) {
	o := newOffice(t, "limits: {repositories_per_day: 1000}\n")
	d := o.open()
	var tokens []string
	for i := range 6 {
		name := "user" + strconv.Itoa(i)
		o.connect(d, name, fake.CampusUser)
		tokens = append(tokens, o.hub.StartServer(name, ""))
	}
	before := o.keyIDs()[0].ID
	stop := o.serve()
	ctx, cancel := context.WithCancel(t.Context())
	var asked, signed atomic.Int64
	var load sync.WaitGroup
	for i, token := range tokens {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if n%7 == 0 && i == 0 { // sealed states
					if res, err := http.Get(o.url + "login"); err == nil {
						io.Copy(io.Discard, res.Body)
						res.Body.Close()
						signed.Add(1)
					}
				}
				status, said, err := o.request(token, []string{"river-lab/data", "octo-researcher/notes"}[n%2])
				if err != nil || status != http.StatusOK && status != http.StatusTooManyRequests {
					t.Errorf("asking: %d %s %v", status, said, err)
					return
				}
				asked.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	o.eventually("the load runs", func() bool { return asked.Load() > 50 })
	o.wants(0, []string{"New keys are in", "takes them over", "sealed anew", "Key " + before + " stays in the file"}, "keys", "rotate")
	at := asked.Load()
	o.eventually("the load goes on", func() bool { return asked.Load() > at+50 })
	// What is made now is sealed with the new key by the running service.
	o.connect(o.open(), "later", fake.CampusUser)
	if status, said, err := o.request(o.hub.StartServer("later", ""), "river-lab/data"); status != http.StatusOK {
		t.Errorf("asking after: %d %s %v", status, said, err)
	}
	cancel()
	load.Wait()
	after := o.keyIDs()
	if after[0].ID == before || !after[0].Primary || after[0].Uses == 0 {
		t.Errorf("the keys after: %+v", after)
	}
	for _, k := range after {
		if k.ID == before && k.Uses != 0 {
			t.Errorf("the old key is needed by %d entries", k.Uses)
		}
	}
	stop()
	d.db.Close()
	o.wants(0, []string{"Taken out of the file", before}, "keys", "rotate")
	for _, k := range o.keyIDs() {
		if k.ID == before || k.For == "seal" && !k.Primary {
			t.Errorf("a key stays that nothing needs: %+v", k)
		}
	}
	o.serve()
	d = o.open()
	o.must(d, o.caller(d, "user3"), "river-lab", "data")
	o.wants(0, []string{"keys", "root-of-it-all"}, "events", "--kind", "keys")
	o.wants(0, []string{"Nothing was edited"}, "events", "verify")
	t.Logf("%d requests, %d sign-ins begun", asked.Load(), signed.Load())
}

// TestRotateRefuses: nothing begins that cannot end.
func TestRotateRefuses(t *testing.T) {
	o := newOffice(t, "")
	path := filepath.Join(o.dir, "etc", "keys.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(filepath.Join(o.dir, "etc"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	o.wants(1, []string{"DP-952", "another rotation is under way"}, "keys", "rotate")
	dir.Close()
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) {
		t.Error("the keys were changed")
	}
	o.edit("keys: file:"+path, "keys: env:DAYPASS_TEST_KEYS")
	o.wants(2, []string{"DP-953", "env:DAYPASS_TEST_KEYS", "Write them to a file"}, "keys", "rotate")
	o.edit("keys: env:DAYPASS_TEST_KEYS", "keys: file:"+path)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	o.wants(2, []string{"DP-906", "can be read by others"}, "keys", "rotate")
}

// TestRotateInterrupted: a rotation that is stopped in the middle leaves a store
// and a file that go on, and the next one finishes.
func TestRotateInterrupted(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	c := o.connect(d, "ada", fake.CampusUser)
	o.serve()
	before := o.keyIDs()[0].ID
	ctx, cancel := context.WithTimeout(t.Context(), settleTime/3)
	defer cancel()
	if code, said := o.adminUntil(ctx, "keys", "rotate"); code == 0 || !strings.Contains(said, "New keys") {
		t.Fatalf("it was not interrupted: %d", code)
	}
	if list := o.keyIDs(); list[0].ID == before || list[1].ID != before || list[1].Uses == 0 {
		t.Fatalf("%+v", list)
	}
	if status, said, err := o.request(o.hub.StartServer("ada", ""), "river-lab/data"); status != http.StatusOK {
		t.Errorf("the running service: %d %s %v", status, said, err)
	}
	o.must(o.open(), c, "octo-researcher", "notes")
	o.wants(0, []string{"sealed anew"}, "keys", "rotate")
	for _, k := range o.keyIDs() {
		if k.ID == before {
			t.Errorf("the first key is still there: %+v", k)
		}
	}
}

// TestKeptMode: the file that takes the old one's place has its owner and mode.
func TestKeptMode(t *testing.T) {
	o := newOffice(t, "")
	path := filepath.Join(o.dir, "etc", "keys.json")
	if os.Getuid() == 0 {
		if err := os.Chown(path, 0, 4711); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	o.wants(0, []string{"Taken out of the file"}, "keys", "rotate")
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if after.Mode() != before.Mode() || a.Uid != b.Uid || a.Gid != b.Gid || a.Ino == b.Ino {
		t.Errorf("%v %d:%d is now %v %d:%d", before.Mode(), a.Uid, a.Gid, after.Mode(), b.Uid, b.Gid)
	}
	if left, err := filepath.Glob(filepath.Join(o.dir, "etc", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestWrongUser: root is no substitute for the service's user.
func TestWrongUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give files away")
	}
	o := newOffice(t, "")
	for _, path := range []string{"store", "etc/keys.json", "etc/server.yaml"} {
		full := filepath.Join(o.dir, path)
		if err := os.Chown(full, 1, 1); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"events"}, {"user", "show", "ada"}, {"backup", o.dir + "/b"}, {"keys", "rotate"}} {
			o.wants(2, []string{"DP-950", "sudo -u daemon", full + " belongs to daemon, and you are root"}, args...)
		}
		o.wants(1, []string{"RED", "DP-950"}, "check")
		if path != "etc/server.yaml" { // rules can be tried by whoever may read them
			o.wants(0, []string{"own-connections"}, "policy", "check")
		}
		if err := os.Chown(full, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
