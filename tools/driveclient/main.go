// Command driveclient lists and reads a folder of Google Drive with Google's own
// library, as a service account, for the tests of a stand-in. It prints one JSON object
// a line: {"path", "id", "md5", "bytes", "text"}; or {"changes": n} for the feed since
// a token.
//
//	driveclient KEYFILE FOLDER [PAGETOKEN]
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/api/drive/v3"
	"google.golang.org/api/option"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: driveclient KEYFILE FOLDER [PAGETOKEN]")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, key, folder string, token []string) error {
	s, err := drive.NewService(ctx, option.WithAuthCredentialsFile(option.ServiceAccount, key), option.WithScopes(drive.DriveReadonlyScope))
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if len(token) > 0 {
		list, err := s.Changes.List(token[0]).IncludeRemoved(true).IncludeItemsFromAllDrives(true).SupportsAllDrives(true).Do()
		if err != nil {
			return err
		}
		return out.Encode(map[string]any{"changes": len(list.Changes), "token": list.NewStartPageToken})
	}
	start, err := s.Changes.GetStartPageToken().SupportsAllDrives(true).Do()
	if err != nil {
		return err
	}
	if err := out.Encode(map[string]any{"token": start.StartPageToken}); err != nil {
		return err
	}
	return walk(ctx, s, out, folder, nil)
}

func walk(ctx context.Context, s *drive.Service, out *json.Encoder, folder string, above []string) error {
	call := s.Files.List().Q("'"+folder+"' in parents and trashed = false").PageSize(3).SupportsAllDrives(true).IncludeItemsFromAllDrives(true).
		Fields("nextPageToken", "incompleteSearch", "files(id,name,mimeType,size,md5Checksum,capabilities/canDownload)")
	return call.Pages(ctx, func(page *drive.FileList) error {
		for _, f := range page.Files {
			path := append(append([]string{}, above...), f.Name)
			if f.MimeType == "application/vnd.google-apps.folder" {
				if err := walk(ctx, s, out, f.Id, path); err != nil {
					return err
				}
				continue
			}
			text, err := read(s, f)
			if err != nil {
				return err
			}
			if err := out.Encode(map[string]any{"path": path, "id": f.Id, "md5": f.Md5Checksum, "bytes": f.Size, "text": text}); err != nil {
				return err
			}
		}
		return nil
	})
}

func read(s *drive.Service, f *drive.File) (string, error) {
	call := s.Files.Get(f.Id).SupportsAllDrives(true).Download
	if strings.HasPrefix(f.MimeType, "application/vnd.google-apps.") {
		call = s.Files.Export(f.Id, "application/pdf").Download
	}
	res, err := call()
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}
