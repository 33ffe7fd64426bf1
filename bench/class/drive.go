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

// lab is a folder as a large course has it.
func lab() []fake.DriveFile {
	files := []fake.DriveFile{{ID: driveRoot, Name: "Lab", Type: fake.FolderType, Shared: []string{driveAccount}}}
	for i := range driveFolders {
		files = append(files, fake.DriveFile{ID: fmt.Sprintf("folderOfLab%02d", i), Name: fmt.Sprintf("week%02d", i), Type: fake.FolderType, Parent: driveRoot})
	}
	for i := range driveFiles {
		files = append(files, fake.DriveFile{ID: fmt.Sprintf("fileOfLab%04d", i), Name: fmt.Sprintf("file%04d.txt", i), Type: "text/plain",
			Parent: fmt.Sprintf("folderOfLab%02d", i%driveFolders), Text: strings.Repeat(fmt.Sprintf("line %d\n", i*7919), 40)})
	}
	return files
}

// drive measures a class's first pull of a folder that one account may not read fifty
// times within a minute.
func (b *bench) drive(s *measure.Stage) {
	file, public, err := fake.NewKeyFile(rand.Reader, driveAccount, "k1")
	s.Check(err)
	drive := fake.NewDrive(fake.DriveConfig{Seed: fake.DriveSeed{
		Files: lab(), Accounts: []fake.ServiceAccount{{Email: driveAccount, Keys: map[string]string{"k1": public}}},
	}})
	var refused, asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		c := &status{ResponseWriter: w}
		drive.ServeHTTP(c, r)
		if c.code == http.StatusForbidden || c.code == http.StatusTooManyRequests {
			refused.Add(1)
		}
	}))
	s.Cleanup(server.Close)
	at := server.URL
	dir := s.TempDir()
	key := dir + "/key.json"
	s.Check(os.WriteFile(key, file, 0o600))
	source := daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: driveRoot}
	st := newSite(b, s, students, source, "hub:ph142", fmt.Sprintf("sources:\n  dial: [127.0.0.1/32]\n  drive:\n    - {account: ph142, key: \"file:%s\", groups: [instructors], endpoints: {api: %s, token: %s/token}}\n", key, at, at))
	took := st.atOnce(many(st.pull))
	b.Say("fifty first pulls of %d files: %.1f s; %d requests to Drive, %d units; load %s", driveFiles, took.Seconds(), asked.Load(), drive.Units(), measure.Load())
	b.Note(measure.Figure{What: "fifty first pulls of 1,600 files at Drive: quota errors", Got: float64(refused.Load()), Bound: 0, Unit: ""})
	b.Note(measure.Figure{What: "fifty first pulls of 1,600 files at Drive: requests, of one listing and each file once", Got: float64(asked.Load()), Bound: driveFiles + 3*driveFolders + 30, Unit: ""})
	asked.Store(0)
	before := drive.Units()
	st.atOnce([]*exec.Cmd{st.pull(0)})
	b.Say("one more pull within the time that a look is good for: %d requests, %d units", asked.Load(), drive.Units()-before)
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
