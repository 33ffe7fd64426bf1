package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/measure"
)

const (
	driveFiles   = 1600
	driveFolders = 10
	driveAccount = "ph142@course.iam.gserviceaccount.com"
	driveRoot    = "rootOfTheLab1"
)

// lab is a folder as a course has it.
func lab(n int) []fake.DriveFile {
	files := []fake.DriveFile{{ID: driveRoot, Name: "Lab", Type: fake.FolderType, Shared: []string{driveAccount}}}
	for i := range driveFolders {
		files = append(files, fake.DriveFile{ID: fmt.Sprintf("folderOfLab%02d", i), Name: fmt.Sprintf("week%02d", i), Type: fake.FolderType, Parent: driveRoot})
	}
	for i := range n {
		files = append(files, fake.DriveFile{ID: fmt.Sprintf("fileOfLab%04d", i), Name: fmt.Sprintf("file%04d.txt", i), Type: "text/plain",
			Parent: fmt.Sprintf("folderOfLab%02d", i%driveFolders), Text: strings.Repeat(fmt.Sprintf("line %d\n", i*7919), 40)})
	}
	return files
}

// A shelf is a Drive with a lab, and the key of the account that reads it.
type shelf struct {
	*fake.Drive
	key            string // its file
	asked, refused atomic.Int64
}

func newShelf(s *measure.Stage, files int) *shelf {
	file, public, err := fake.NewKeyFile(rand.Reader, driveAccount, "k1")
	s.Check(err)
	d := &shelf{key: s.TempDir() + "/key.json", Drive: fake.NewDrive(fake.DriveConfig{Seed: fake.DriveSeed{
		Files: lab(files), Accounts: []fake.ServiceAccount{{Email: driveAccount, Keys: map[string]string{"k1": public}}},
	}})}
	s.Check(os.WriteFile(d.key, file, 0o600))
	return d
}

func (d *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.asked.Add(1)
	c := &status{ResponseWriter: w}
	d.Drive.ServeHTTP(c, r)
	if c.code == http.StatusForbidden || c.code == http.StatusTooManyRequests {
		d.refused.Add(1)
	}
}

// drive measures a class's first pull of a folder that one account may not read fifty
// times within a minute.
func (b *bench) drive(s *measure.Stage) {
	d := newShelf(s, driveFiles)
	server := httptest.NewServer(d)
	s.Cleanup(server.Close)
	at := server.URL
	source := daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: driveRoot}
	st := newSite(b, s, students, source, "hub:ph142", fmt.Sprintf("sources:\n  dial: [127.0.0.1/32]\n  drive:\n    - {account: ph142, key: \"file:%s\", groups: [instructors], endpoints: {api: %s, token: %s/token}}\n", d.key, at, at))
	took := st.atOnce(many(st.pull))
	b.Say("fifty first pulls of %d files: %.1f s; %d requests to Drive, %d units; load %s", driveFiles, took.Seconds(), d.asked.Load(), d.Units(), measure.Load())
	b.Note(measure.Figure{What: "fifty first pulls of 1,600 files at Drive: quota errors", Got: float64(d.refused.Load()), Bound: 0, Unit: ""})
	b.Note(measure.Figure{What: "fifty first pulls of 1,600 files at Drive: requests, of one listing and each file once", Got: float64(d.asked.Load()), Bound: driveFiles + 3*driveFolders + 30, Unit: ""})
	d.asked.Store(0)
	before := d.Units()
	st.atOnce([]*exec.Cmd{st.pull(0)})
	b.Say("one more pull within the time that a look is good for: %d requests, %d units", d.asked.Load(), d.Units()-before)
}

// aloneFiles is how many files each reads where there is no service. Drive's quota and
// its minute are not scaled, so the files are: fifty times 1,600 take an hour of it, and
// fifty times these still twice what a minute has. The hour is played in the tests of
// provider/drive, by a clock that does not wait.
const aloneFiles = 64

// driveAlone measures a class whose programs have the account's key, and nothing else
// that they share: no service, no folder, no word of each other.
func (b *bench) driveAlone(s *measure.Stage) {
	for _, sharing := range []string{"", "1"} { // as it is; and each told that it is the only one
		d := newShelf(s, aloneFiles)
		hosts := map[string]http.Handler{}
		for _, name := range d.Hosts() {
			hosts[name] = d
		}
		network, err := fake.NewNetwork(s.TempDir(), hosts)
		s.Check(err)
		s.Cleanup(network.Close)
		st := &site{b: b, s: s, dir: s.TempDir()}
		took := st.atOnce(many(func(int) *exec.Cmd {
			cmd := st.alone("drive:drive.google.com/" + driveRoot)
			cmd.Env = append(append(cmd.Env, network.Env()...), "DAYPASS_DRIVE_KEY_FILE="+d.key, "DAYPASS_DRIVE_SHARED_BY="+sharing)
			return cmd
		}))
		lost := students*aloneFiles - st.brought()
		s.Check(os.RemoveAll(st.dir))
		refused := d.refused.Load()
		if sharing == "" {
			b.Say("fifty who have only the key, %d files each: %.0f s; %d units; load %s", aloneFiles, took.Seconds(), d.Units(), measure.Load())
			b.Note(measure.Figure{What: "fifty first pulls of 64 files at Drive without a service: quota errors", Got: float64(refused), Bound: 0, Unit: ""})
			b.Note(measure.Figure{What: "fifty first pulls of 64 files at Drive without a service: files that did not come", Got: float64(lost), Bound: 0, Unit: ""})
			continue
		}
		b.Say("the same fifty, each told that it is alone: %.0f s; %d quota errors in %d requests; load %s", took.Seconds(), refused, d.asked.Load(), measure.Load())
		b.Must("the stand-in refuses those who do not pace themselves", refused > 0)
		b.Note(measure.Figure{What: "fifty first pulls at Drive, each told that it is alone: files that did not come", Got: float64(lost), Bound: 0, Unit: ""})
	}
}

// status notes what was answered.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}
