package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// TestPassTypesKeepTheirSecrets: only Encode writes one down, and it comes back.
func TestPassTypesKeepTheirSecrets(t *testing.T) {
	secret := daypass.NewSecret("daypass_canary0123456789")
	until := time.Unix(1800000000, 0).UTC()
	for name, c := range map[string]struct {
		v      any
		encode func() ([]byte, error)
		decode func([]byte) (daypass.Secret, error)
	}{
		"PassReply": {api.PassReply{Pass: secret, ID: "x"}, api.PassReply{Pass: secret, ID: "x", Until: &until}.Encode, func(b []byte) (daypass.Secret, error) {
			v, err := api.DecodePassReply(b)
			return v.Pass, err
		}},
		"ShownPass": {api.ShownPass{Pass: secret}, api.ShownPass{Pass: secret}.Encode, func(b []byte) (daypass.Secret, error) {
			v, err := api.DecodeShownPass(b)
			return v.Pass, err
		}},
		"DeviceCodes": {api.DeviceCodes{Device: secret, User: "WDJB-MJHT"}, api.DeviceCodes{Device: secret, User: "WDJB-MJHT", Expires: 900}.Encode, func(b []byte) (daypass.Secret, error) {
			v, err := api.DecodeDeviceCodes(b)
			return v.Device, err
		}},
		"DeviceToken": {api.DeviceToken{Device: secret}, api.DeviceToken{Device: secret}.Encode, func(b []byte) (daypass.Secret, error) {
			v, err := api.DecodeDeviceToken(b)
			return v.Device, err
		}},
		"MintToken": {api.MintToken{Token: secret}, api.MintToken{Token: secret}.Encode, func(b []byte) (daypass.Secret, error) {
			v, err := api.DecodeMintToken(b)
			return v.Token, err
		}},
		"MintedToken": {api.MintedToken{Token: secret}, api.MintedToken{Token: secret, Expires: until}.Encode, func(b []byte) (daypass.Secret, error) {
			v, err := api.DecodeMintedToken(b)
			return v.Token, err
		}},
	} {
		if b, err := json.Marshal(c.v); err == nil {
			t.Errorf("%s: encoding/json wrote %s", name, b)
		}
		if s := fmt.Sprintf("%v %+v %#v", c.v, c.v, c.v); strings.Contains(s, "canary") {
			t.Errorf("%s: fmt wrote %s", name, s)
		}
		b, err := c.encode()
		if err != nil || strings.Count(string(b), "canary") != 1 {
			t.Errorf("%s: Encode wrote %s, %v", name, b, err)
		}
		if got, err := c.decode(b); err != nil || !got.Equal(secret) {
			t.Errorf("%s: it did not come back: %v", name, err)
		}
		if _, err := c.decode([]byte(`{}`)); err == nil {
			t.Errorf("%s: took nothing for one", name)
		}
	}
}

func TestPassRequestCheck(t *testing.T) {
	early := time.Unix(-1, 0)
	good := api.PassRequest{Label: "night job", For: 3600, Limits: api.PassLimits{Repos: []string{"o/r"}, Access: "read", Hosts: []string{"github.com"}, Uses: 3}}
	if why := good.Check(); why != "" {
		t.Fatalf("a good request: %s", why)
	}
	for name, f := range map[string]func(*api.PassRequest){
		"two ends":           func(r *api.PassRequest) { r.Never = true },
		"a negative time":    func(r *api.PassRequest) { r.For = -1 },
		"an endless time":    func(r *api.PassRequest) { r.For = 1 << 62 },
		"before 1970":        func(r *api.PassRequest) { r.For, r.Until = 0, &early },
		"beyond a calendar":  func(r *api.PassRequest) { r.For, r.Until = 0, &daypass.Forever },
		"a long label":       func(r *api.PassRequest) { r.Label = strings.Repeat("é", 101) },
		"a label in colour":  func(r *api.PassRequest) { r.Label = "a\x1b[31m" },
		"an empty list":      func(r *api.PassRequest) { r.Limits.Repos = []string{} },
		"an empty item":      func(r *api.PassRequest) { r.Limits.Sources = []string{""} },
		"a long list":        func(r *api.PassRequest) { r.Limits.Addresses = make([]string, 65) },
		"a long item":        func(r *api.PassRequest) { r.Limits.Servers = []string{strings.Repeat("x", 513)} },
		"another access":     func(r *api.PassRequest) { r.Limits.Access = "admin" },
		"negative uses":      func(r *api.PassRequest) { r.Limits.Uses = -1 },
		"a host in capitals": func(r *api.PassRequest) { r.Limits.Hosts = []string{"GitHub.com"} },
		"an early beginning": func(r *api.PassRequest) { r.Limits.NotBefore = &early },
	} {
		r := good
		f(&r)
		if r.Check() == "" {
			t.Errorf("%s: taken: %+v", name, r)
		}
	}
	if why := (api.PassRequest{Label: strings.Repeat("é", 100)}).Check(); why != "" {
		t.Errorf("a label of 100 characters: %s", why)
	}
	if why := (api.DeviceRequest{Limits: api.PassLimits{Repos: []string{}}}).Check(); why == "" {
		t.Error("a device may ask for an empty list")
	}
}

func TestPassLive(t *testing.T) {
	now := time.Unix(1800000000, 0)
	past, ahead := now.Add(-time.Second), now.Add(time.Second)
	for name, c := range map[string]struct {
		p    api.Pass
		want bool
	}{
		"no end": {api.Pass{}, true}, "ahead": {api.Pass{Until: &ahead}, true}, "past": {api.Pass{Until: &past}, false},
		"now": {api.Pass{Until: &now}, false}, "ended": {api.Pass{Until: &ahead, Ended: &past}, false},
	} {
		if got := c.p.Live(now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPassPath(t *testing.T) {
	if got := api.PassPath("../end?x"); got != "/api/v1/passes/..%2Fend%3Fx" {
		t.Errorf("PassPath = %q", got)
	}
}
