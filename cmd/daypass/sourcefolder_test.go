package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// TestFolderName: whoever names a folder of Drive says what it is called here, and
// nothing else.
func TestFolderName(t *testing.T) {
	s := daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: "fLab1ofPh142"}
	for title, want := range map[string]string{
		"Lab 1":                        "Lab 1",
		"  Week\t1:  Ä \n":             "Week 1 Ä",
		`"a?" #1: <b>|*`:               "a 1 b",
		"a/b\\c":                       "a-b-c",
		"../../.ssh":                   "ssh",
		".bashrc":                      "bashrc",
		"-rf":                          "rf",
		"~":                            "drive-fLab1ofPh142",
		"~root":                        "root",
		"":                             "drive-fLab1ofPh142",
		"...":                          "drive-fLab1ofPh142",
		"/":                            "drive-fLab1ofPh142",
		".git":                         "git",
		"git~1":                        "drive-fLab1ofPh142",
		"a\x00b":                       "drive-fLab1ofPh142",
		"a\x1b[2Jb":                    "a%1B[2Jb",
		"a\u202eb":                     "a%E2%80%AEb",
		"bad \xff":                     "bad \ufffd",
		"ends. . ":                     "ends",
		strings.Repeat("é", 200):       strings.Repeat("é", 40),
		"x" + strings.Repeat("é", 200): "x" + strings.Repeat("é", 39),
	} {
		got := folderName(title, s)
		if got != want || len(got) > 255 || !utf8.ValidString(got) || strings.ContainsAny(got, "/\x00") {
			t.Errorf("%q is called %q, want %q", title, got, want)
		}
	}
	s = daypass.Source{Kind: daypass.KindDataverse, Host: "x", ID: "doi:10.1/.."}
	if got := folderName("", s); got != "dataverse" {
		t.Errorf("an id gives %q", got)
	}
}
