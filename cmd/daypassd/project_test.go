package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/egress"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/drive"
)

// TestProjectQuota: the accounts of a project spend what that has together, whether a
// key, an address or the configuration says so, and services that share them their part.
func TestProjectQuota(t *testing.T) {
	dir := t.TempDir()
	account := func(name, email string) driveConfig {
		file, _, err := fake.NewKeyFile(rand.Reader, email, "k")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name+".json")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		return driveConfig{Account: name, Key: "file:" + path}
	}
	machine := driveConfig{Account: "machine", Identity: "metadata", Address: "123-compute@developer.gserviceaccount.com", Project: "campus-hub"}
	for _, services := range []int{1, 2} {
		r := &readers{dialer: &egress.Dialer{}, drives: map[string]daypass.Contents{}, projects: map[string]*drive.Project{}, services: services, now: time.Now}
		accounts := []driveConfig{machine, account("elsewhere", "a@other-hub.iam.gserviceaccount.com")}
		for i := range 3 {
			accounts = append(accounts, account(fmt.Sprint("course", i), fmt.Sprintf("course%d@campus-hub.iam.gserviceaccount.com", i)))
		}
		s := &app{getenv: func(string) string { return "" }}
		for _, d := range accounts {
			if _, err := r.openDrive(s, d); err != nil {
				t.Fatal(err)
			}
		}
		spend := func(name string, units int) error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return r.drives[name].(*drive.Drive).Pace.Wait(ctx, units/services)
		}
		for _, name := range []string{"course0", "course1", "machine"} {
			if err := spend(name, drive.UserUnits); err != nil {
				t.Errorf("%d services, %s: %v", services, name, err)
			}
		}
		if err := spend("course2", drive.UserUnits); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d services, the fourth account of the project: %v", services, err)
		}
		if err := spend("course2", 15_000); err != nil {
			t.Errorf("%d services, what the project has left: %v", services, err)
		}
		if err := spend("elsewhere", drive.UserUnits); err != nil {
			t.Errorf("%d services, another project: %v", services, err)
		}
	}
}
