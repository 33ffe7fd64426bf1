package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

const (
	driveTeacher = "instructor"
	driveGuest   = "guest" // of no course
	driveGroup   = "ph142"
	driveFolder  = "1Lab4OfTheCourseRiversXyz"
	driveBook    = "1NotebookOfTheCourseRivers"
	driveGauges  = "1GaugesOfTheCourseRivers"
	driveLink    = "lab-4"
)

// A driveDemo is a hub whose access service reads a course's folder in Google Drive.
type driveDemo struct {
	*hubDemo
	drive                   *fake.Drive
	teacher, student, guest *demoServer
}

// drives is the same week from a private folder of Google Drive, for a student who has no
// account there.
func (p *pullDemo) drives(ctx context.Context) error {
	p.say("\n5. The same from Google Drive: a private folder, a link, and a student who has no Google account\n")
	d, end, err := p.app.newDriveDemo(ctx)
	if err != nil {
		return err
	}
	defer end()
	d.say("     (on this machine only too: stand-ins for Google Drive and a JupyterHub, and the hub's access service.")
	d.say("     In Drive the instructor has shared the folder \"Lab 4\" with the service's address, as a viewer)\n")
	return inOrder(
		d.teacher.step(ctx, want{text: "/l/" + driveLink}, "", "daypass", "link", "make", driveLink, "--source", "https://drive.google.com/drive/folders/"+driveFolder, "--for", driveGroup, "--open", labNotebook),
		d.student.step(ctx, want{text: "2 files"}, "", "daypass", "pull", "link:"+driveLink),
		d.changed,
		d.student.step(ctx, want{text: "We kept your answers in 1 cell"}, filepath.Join(d.student.home, driveLink), "daypass", "pull"),
		d.holds(labNotebook, "Twice a day.", "depth * 100", "# 2. And in feet?"),
		d.holds("levels.csv", "2,2.35"),
		d.gone("gauges.csv"),
		func() error {
			d.say("     (the new introduction and exercise came, the student's answer stayed, and the file has its new name)\n")
			return nil
		},
		d.guest.step(ctx, want{code: 4, text: "[DP-723]"}, "", "daypass", "pull", "link:"+driveLink),
	)
}

// changed is what both of them do in a week.
func (d *driveDemo) changed() error {
	d.say("     (a week later: the student has answered; in Drive the instructor renamed gauges.csv and changed the notebook)")
	answered := demoNotebook("Once a day.", demoCell{"answer", "depth = 1.20\ndepth * 100  # cm", "120.0"})
	if err := os.WriteFile(filepath.Join(d.student.home, driveLink, labNotebook), []byte(answered), 0o600); err != nil {
		return err
	}
	d.drive.Edit(driveBook, func(f *fake.DriveFile) {
		f.Text = demoNotebook("Twice a day.", demoCell{"answer", "depth = ...  # in metres", ""}, demoCell{"more", "# 2. And in feet?", ""})
	})
	d.drive.Edit(driveGauges, func(f *fake.DriveFile) { f.Name, f.Text = "levels.csv", "day,level\n1,2.30\n2,2.35\n" })
	time.Sleep(driveLook)
	return nil
}

func (d *driveDemo) holds(name string, texts ...string) func() error {
	return func() error {
		text, err := os.ReadFile(filepath.Join(d.student.home, driveLink, name))
		for _, want := range texts {
			if err != nil || !strings.Contains(string(text), want) {
				return fmt.Errorf("%s lacks %q: %w\n%s", name, want, err, text)
			}
		}
		return nil
	}
}

func (d *driveDemo) gone(name string) func() error {
	return func() error {
		if _, err := os.Lstat(filepath.Join(d.student.home, driveLink, name)); err == nil {
			return fmt.Errorf("%s is there under both names", name)
		}
		return nil
	}
}

// driveLook is how old what the service has seen may be: for a class that is more.
const driveLook = 500 * time.Millisecond

func (s *app) newDriveDemo(ctx context.Context) (*driveDemo, func(), error) {
	const account = "ph142@course.iam.gserviceaccount.com"
	key, public, err := fake.NewKeyFile(rand.Reader, account, "k1")
	if err != nil {
		return nil, nil, err
	}
	drive := fake.NewDrive(fake.DriveConfig{Seed: fake.DriveSeed{
		Accounts: []fake.ServiceAccount{{Email: account, Keys: map[string]string{"k1": public}}},
		Files: []fake.DriveFile{
			{ID: driveFolder, Name: "Lab 4", Type: fake.FolderType, Shared: []string{account}},
			{ID: driveBook, Name: labNotebook, Parent: driveFolder, Text: demoNotebook("Once a day.", demoCell{"answer", "depth = ...", ""})},
			{ID: driveGauges, Name: "gauges.csv", Parent: driveFolder, Text: "day,level\n1,2.30\n"},
		},
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	srv := &http.Server{Handler: drive, ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l)
	h, err := s.newHubDemoOf(ctx, func(h *hubDemo) (string, error) {
		path := filepath.Join(h.dir, "secrets", "drive-key.json")
		at := "http://" + l.Addr().String()
		return fmt.Sprintf(`sources:
  dial: [127.0.0.1/32]
  drive: [{account: ph142, key: "file:%s", groups: [%s-staff], endpoints: {api: %s, token: %s/token}}]
links: {groups: [instructors]}
snapshots: {dir: %s/snapshots, look: %s}
`, path, driveGroup, at, at, h.dir, driveLook), os.WriteFile(path, key, 0o600)
	})
	if err != nil {
		srv.Close()
		return nil, nil, err
	}
	d := &driveDemo{hubDemo: h, drive: drive}
	end := func() {
		h.close()
		srv.Close()
	}
	if err := d.people(ctx); err != nil {
		end()
		return nil, nil, err
	}
	return d, end, nil
}

// people are the course's, each with a server of theirs.
func (d *driveDemo) people(ctx context.Context) error {
	d.hub.SetGroups(driveTeacher, "instructors", driveGroup+"-staff")
	d.hub.SetGroups(demoUser, driveGroup)
	d.hub.SetGroups(driveGuest, "another-course")
	var err error
	if d.student, err = d.startServer(ctx, ""); err != nil {
		return err
	}
	d.student.at = "student"
	if d.teacher, err = d.serverOf(driveTeacher); err != nil {
		return err
	}
	d.guest, err = d.serverOf(driveGuest)
	return err
}

// serverOf is a server like the student's, of somebody else.
func (d *driveDemo) serverOf(name string) (*demoServer, error) {
	s := *d.student
	s.at, s.home = name, filepath.Join(d.dir, "servers", name)
	s.env = append(slices.Clone(s.env), "HOME="+s.home, "USER="+name, "JUPYTERHUB_USER="+name, "JUPYTERHUB_API_TOKEN="+d.hub.StartServer(name, ""))
	return &s, os.Mkdir(s.home, 0o700)
}
