package api_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

func description(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOpenAPI: the description is a valid one, and its examples are.
func TestOpenAPI(t *testing.T) {
	doc := description(t)
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("it is of version %s", doc.OpenAPI)
	}
	for _, path := range []string{
		api.PathCredential, api.PathRejected, api.PathMe, api.PathConnection + "{host}", api.PathRepos + "{host}", api.PathHookLogin, api.PathHookStop, api.PathOpenAPI,
		api.PathPasses, api.PathPass + "{id}", api.PathEndPass, api.PathDevice, api.PathDeviceToken, api.PathAudience, api.PathMintToken,
		api.PathSnapshots, api.PathSnapshot + "{id}", api.PathLinks, api.PathLink + "{name}", api.PathLink + "{name}/copy", api.PathLink + "{name}/student", api.PathLink + "{name}/failed", api.PathCopies, api.PathSources, api.PathTest, api.PathBrowse,
	} {
		if doc.Paths.Value(path) == nil {
			t.Errorf("it does not describe %s", path)
		}
	}
	if n := doc.Paths.Len(); n != 26 {
		t.Errorf("it describes %d paths", n)
	}
}

// TestOpenAPITypes: each schema has the keys of the type that it describes, and
// demands those that the type always writes.
func TestOpenAPITypes(t *testing.T) {
	schemas := description(t).Components.Schemas
	for name, v := range map[string]any{
		"CredentialRequest": api.CredentialRequest{}, "CredentialReply": api.CredentialReply{}, "Repo": api.Repo{}, "Account": api.Account{},
		"Rejected": api.Rejected{}, "Me": api.Me{}, "User": api.User{}, "Host": api.Host{}, "Disconnected": api.Disconnected{}, "Repos": api.Repos{},
		"Right": api.Right{}, "HookLogin": api.HookLogin{}, "HookStopped": api.HookStopped{},
		"Error": api.Error{}, "ErrorBody": api.ErrorBody{}, "PassLimits": api.PassLimits{}, "PassRequest": api.PassRequest{}, "PassReply": api.PassReply{},
		"Passes": api.Passes{}, "Pass": api.Pass{}, "PassEnded": api.PassEnded{}, "ShownPass": api.ShownPass{}, "DeviceRequest": api.DeviceRequest{},
		"DeviceCodes": api.DeviceCodes{}, "DeviceToken": api.DeviceToken{}, "Audience": api.Audience{}, "MintToken": api.MintToken{}, "MintRefused": api.MintRefused{}, "MintError": api.MintError{}, "Snapshot": api.Snapshot{}, "Making": api.Making{},
		"LinkRequest": api.LinkRequest{}, "Link": api.Link{}, "Links": api.Links{}, "LinkTerms": api.LinkTerms{}, "ShareAddress": api.ShareAddress{}, "SourceQuestion": api.SourceQuestion{},
		"SourceTest": api.SourceTest{}, "SourceFiles": api.SourceFiles{}, "StudentView": api.StudentView{}, "LinkCopies": api.LinkCopies{}, "LinkCopy": api.LinkCopy{}, "CopiedLinks": api.CopiedLinks{}, "PullFailure": api.PullFailure{}, "SourceFile": api.SourceFile{}, "Offers": api.Offers{}, "Offer": api.Offer{}, "OfferedSource": api.OfferedSource{},
	} {
		s := schemas[name]
		if s == nil {
			t.Errorf("no schema %s", name)
			continue
		}
		all, always := keys(reflect.TypeOf(v))
		var described []string
		for key := range s.Value.Properties {
			described = append(described, key)
		}
		slices.Sort(described)
		if !slices.Equal(all, described) {
			t.Errorf("%s: the type has %q, the schema %q", name, all, described)
		}
		required := slices.Sorted(slices.Values(s.Value.Required))
		if !slices.Equal(always, required) {
			t.Errorf("%s: the type always has %q, the schema demands %q", name, always, required)
		}
	}
}

// keys returns the JSON keys of a struct: all, and those without omitempty.
func keys(typ reflect.Type) (all, always []string) {
	for _, f := range reflect.VisibleFields(typ) {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		all = append(all, name)
		if !strings.Contains(rest, "omitempty") {
			always = append(always, name)
		}
	}
	slices.Sort(all)
	slices.Sort(always)
	return all, always
}

// TestOpenAPIExamples: each example is read by our own types, to the last key,
// and is what a caller may send.
func TestOpenAPIExamples(t *testing.T) {
	var seen int
	each := func(name string, raw any) {
		b, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		switch name {
		case "CredentialRequest":
			var v api.CredentialRequest
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "Rejected":
			var v api.Rejected
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "CredentialReply":
			if v, err := api.DecodeCredentialReply(b); err != nil || v.Password.IsZero() || v.Scope().Access == daypass.NoAccess {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "HookLogin":
			if v, err := api.DecodeHookLogin(b); err != nil || v.Refresh.IsZero() || v.User == "" {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "PassRequest":
			var v api.PassRequest
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "LinkRequest":
			var v api.LinkRequest
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "LinkCopies":
			var v api.LinkCopies
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "PullFailure":
			var v api.PullFailure
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "SourceQuestion":
			var v api.SourceQuestion
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "DeviceRequest":
			var v api.DeviceRequest
			if err := api.DecodeRequest(b, &v); err != nil || v.Check() != "" {
				t.Errorf("%s: %v %s: %s", name, err, v.Check(), b)
			}
		case "PassReply":
			if v, err := api.DecodePassReply(b); err != nil || len(v.Limits) == 0 {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "ShownPass":
			if _, err := api.DecodeShownPass(b); err != nil {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "DeviceCodes":
			if v, err := api.DecodeDeviceCodes(b); err != nil || v.Interval != 5 {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "DeviceToken":
			if _, err := api.DecodeDeviceToken(b); err != nil {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "MintToken":
			if _, err := api.DecodeMintToken(b); err != nil {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "MintedToken":
			if _, err := api.DecodeMintedToken(b); err != nil {
				t.Errorf("%s: %v: %s", name, err, b)
			}
		case "ErrorBody":
			if _, ok := api.DecodeError(b); !ok {
				t.Errorf("%s: %s", name, b)
			}
		default:
			v := map[string]any{
				"Me": new(api.Me), "Host": new(api.Host), "Disconnected": new(api.Disconnected), "Repos": new(api.Repos), "HookStopped": new(api.HookStopped),
				"Passes": new(api.Passes), "PassEnded": new(api.PassEnded), "Audience": new(api.Audience), "MintRefused": new(api.MintRefused), "Snapshot": new(api.Snapshot),
				"Link": new(api.Link), "Links": new(api.Links), "SourceTest": new(api.SourceTest), "SourceFiles": new(api.SourceFiles), "StudentView": new(api.StudentView), "CopiedLinks": new(api.CopiedLinks), "Offers": new(api.Offers),
			}[name]
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			if v == nil || d.Decode(v) != nil {
				t.Errorf("%s: not read: %s", name, b)
			}
		}
	}
	content := func(c openapi3.Content) {
		for _, m := range c {
			for _, x := range m.Examples {
				each(strings.TrimPrefix(m.Schema.Ref, "#/components/schemas/"), x.Value.Value)
			}
		}
	}
	for _, item := range description(t).Paths.Map() {
		for _, op := range item.Operations() {
			if op.RequestBody != nil {
				content(op.RequestBody.Value.Content)
			}
			for _, r := range op.Responses.Map() {
				content(r.Value.Content)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d examples", seen)
	}
}
