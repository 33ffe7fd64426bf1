package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/server"
)

// driveHost is where Google Drive's files are, for people.
const driveHost = "drive.google.com"

// readPaste says what was pasted may mean, the most likely first. It asks no network.
func readPaste(text string) ([]server.Pasted, error) {
	text = strings.TrimSpace(text)
	if len(text) > api.MaxPaste {
		return nil, unread("it is longer than an address")
	}
	if s, ok := daypass.ParseSource(text); ok && strings.Trim(s.Kind, "abcdefghijklmnopqrstuvwxyz") == "" {
		return []server.Pasted{{Source: s, Words: sourceWords(s), Why: "it is written as the service writes it"}}, nil
	}
	if id, ok := driveAddress(text); ok {
		if id == "" {
			return nil, unread("the address names no folder or file of Drive: open the folder, and copy the address then")
		}
		s := daypass.Source{Kind: daypass.KindDrive, Host: driveHost, ID: id}
		return []server.Pasted{{Source: s, Words: sourceWords(s), Why: "it is an address of Google Drive"}}, nil
	}
	return readGit(text)
}

// stand stands for the reader's login while an address is read: no login is so long.
const stand = "x0daypass0template0login0that0no0account0could0ever0have0x"

func readGit(text string) ([]server.Pasted, error) {
	list, err := resolve.Parse(strings.ReplaceAll(text, api.TemplateX, stand))
	if err != nil {
		return nil, err
	}
	var out []server.Pasted
	for _, g := range list {
		p, ok := pastedGit(g)
		if ok && !slices.ContainsFunc(out, func(o server.Pasted) bool { return o.Source == p.Source && o.Open == p.Open }) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, unread("a link reads a repository by https, at a host that the service knows")
	}
	return out, nil
}

func pastedGit(g resolve.Git) (server.Pasted, bool) {
	u, err := url.Parse(g.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && daypass.Loopback(u.Host)) {
		return server.Pasted{}, false
	}
	back := func(s string) string { return strings.ReplaceAll(s, stand, api.TemplateX) }
	s := daypass.Source{Kind: daypass.KindGit, Host: strings.ToLower(u.Host), ID: back(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")), Ref: back(g.Ref)}
	p := server.Pasted{Why: g.Why}
	if g.File {
		p.Open = back(g.Path)
	} else {
		s.Path = back(strings.Trim(g.Path, "/"))
	}
	p.Source, p.Words = s, sourceWords(s)
	return p, s.ID != ""
}

// driveAddress finds the id in an address of Drive's; "" where it has none.
func driveAddress(text string) (id string, ok bool) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Host != driveHost && u.Host != "docs.google.com" {
		return "", false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	for i, part := range parts[:len(parts)-1] {
		if (part == "folders" || part == "d" && i > 0) && driveID.MatchString(parts[i+1]) {
			return parts[i+1], true
		}
	}
	if q := u.Query()["id"]; len(q) == 1 && driveID.MatchString(q[0]) {
		return q[0], true
	}
	return "", true
}

func unread(why string) error {
	return &daypass.Problem{
		Code: "DP-761", What: "that is no address of content", Why: why, Next: "Copy the address of the repository, folder or record from your browser.", Kind: daypass.ErrUsage,
	}
}

// sourceWords names a source for people.
func sourceWords(s daypass.Source) string {
	var out string
	switch s.Kind {
	case daypass.KindGit:
		out = s.Host + "/" + s.ID
	case daypass.KindDrive:
		out = "Google Drive " + s.ID
	case daypass.KindCanvas:
		out = "Canvas " + s.ID + " at " + s.Host
	default:
		out = s.ID + " at " + s.Host
	}
	if s.Ref != "" {
		out += ", " + s.Ref
	}
	if s.Path != "" {
		out = "the folder " + s.Path + " of " + out
	}
	return out
}

// joinParts writes a path of names that may hold anything.
func joinParts(parts []string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = strings.ReplaceAll(p, "/", "\u2215") // as it is delivered
	}
	return strings.Join(out, "/")
}
