package main

import (
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestPagesAgree: the configuration that is installed, the pages that tell of a
// gateway and the choice behind it name the same files, made by the same users.
func TestPagesAgree(t *testing.T) {
	var installed, told serverConfig
	if err := yaml.Unmarshal([]byte(pageText(t, "../../deploy/gateway.yaml")), &installed); err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(pageText(t, deployPage), "\n## A package gateway\n")
	section, _, _ = strings.Cut(section, "\n## ")
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(section)
	if block == nil {
		t.Fatal("doc/deploy.md shows no gateway's configuration")
	}
	if err := yaml.Unmarshal([]byte(block[1]), &told); err != nil {
		t.Fatal(err)
	}
	if told.Gateway == nil || installed.Gateway == nil || told.Store != installed.Store || told.Keys != installed.Keys || told.Gateway.Key != installed.Gateway.Key ||
		told.Gateway.URL != installed.Gateway.URL || told.Gateway.Upstream != installed.Gateway.Upstream {
		t.Errorf("doc/deploy.md says %+v %+v, deploy/gateway.yaml %+v %+v", told, told.Gateway, installed, installed.Gateway)
	}
	page := pageText(t, gatewayPage)
	for _, want := range []string{
		"sudo -u daypass-gateway daypass admin keys init " + strings.TrimPrefix(installed.Keys, "file:") + "\n", "sudo -u devpi daypass admin devpi-key ",
		" " + strings.TrimPrefix(installed.Gateway.Key, "file:") + "\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("doc/gateway.md lacks %q", want)
		}
	}
	for path, words := range map[string][]string{
		deployPage: {"`daypass admin devpi-key`, run as devpi's user", "`daypass admin keys init`, run as the gateway's user"}, "../../doc/adr/0022-acting-at-devpi.md": {"`daypass admin devpi-key`, run as devpi's own user"},
	} {
		for _, w := range words {
			if !strings.Contains(pageText(t, path), w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
	}
	for _, path := range []string{deployPage, gatewayPage, "../../deploy/gateway.yaml", "../../deploy/systemd/daypass-gateway.service"} {
		for _, m := range regexp.MustCompile(`/etc/daypass-gateway/[a-z./]*[a-z]`).FindAllString(pageText(t, path), -1) {
			switch m {
			case "/etc/daypass-gateway/keys", "/etc/daypass-gateway/gateway.yaml", strings.TrimPrefix(installed.Keys, "file:"), strings.TrimPrefix(installed.Gateway.Key, "file:"):
			default:
				t.Errorf("%s names %s", path, m)
			}
		}
	}
}
