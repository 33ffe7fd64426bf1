package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/internal/process"
)

const gatewayPage = "../../doc/gateway.md"

// pagePrelude lays layers over this machine's /etc, /usr/local and /var, and
// makes what the page finds: a devpi-server, of which only the files are there,
// and what a machine with systemd and nginx has.
const pagePrelude = `d=$1
for p in /etc /usr/local /var; do
	n=$(basename "$p")
	mkdir -m 755 "$d/$n" "$d/$n-work"
	mount -t overlay overlay -o "lowerdir=$p,upperdir=$d/$n,workdir=$d/$n-work" "$p"
done
chmod 755 "$d"
useradd --system --home-dir /var/lib/devpi --shell /usr/sbin/nologin devpi
mkdir -p /etc/nginx/conf.d /etc/systemd/system /etc/devpi
cp -a "$DEVPI_DIR/server" /var/lib/devpi
cp "$DEVPI_DIR/secret" /etc/devpi/secret
chown -R devpi: /var/lib/devpi /etc/devpi
chmod 700 /etc/devpi
chmod 600 /etc/devpi/secret
gateway=
trap '[ -z "$gateway" ] || kill "$gateway"' EXIT
# devpi's programs lie where only root can read them.
sudo() {
	[ "$1" = -u ] || return 2
	who=$2
	shift 2
	if [ "$1" = devpi-export ]; then
		"$@" && chown -R devpi: /var/lib/devpi
	else
		setpriv --reuid "$who" --regid "$who" --clear-groups -- env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"
	fi
}
# As the unit says, without systemd.
systemctl() {
	[ "$*" = "enable --now daypass-gateway" ] || [ "$*" = "restart daypass-gateway" ] || return 0
	unit=/etc/systemd/system/daypass-gateway.service
	[ -z "$gateway" ] || { kill "$gateway"; wait "$gateway"; }
	who=$(sed -n 's/^User=//p' $unit)
	setpriv --reuid "$who" --regid "$who" --clear-groups --pdeathsig KILL -- env -i $(sed -n 's/^ExecStart=//p' $unit) &
	gateway=$!
	for i in $(seq 100); do
		curl -sf "$URL+daypass/readyz" >/dev/null && return
		sleep 0.1
	done
	return 1
}
cd "$REPOSITORY"
`

// pageBlocks are the shell commands of a page, each block by the heading that it
// is under.
func pageBlocks(t *testing.T, path string) (out [][2]string) {
	t.Helper()
	heading := ""
	for _, m := range regexp.MustCompile("(?ms)^#+ ([^\n]*)$|^ *```sh\n(.*?)^ *```$").FindAllStringSubmatch(pageText(t, path), -1) {
		if m[1] != "" {
			heading = m[1]
		} else {
			out = append(out, [2]string{heading, m[2]})
		}
	}
	return out
}

// TestGatewayPage does what doc/gateway.md says, line by line, to a machine that
// has a devpi-server with devpi-tokens.
func TestGatewayPage(t *testing.T) {
	needsRoot(t)
	d := devpitest.Start(t, devpitest.Options{Plugin: true})
	alice := d.AddUser(t, "alice", "secret")
	old := d.Token(t, alice, "alice", map[string]any{"allowed": []string{"upload"}, "projects": []string{"old"}})
	d.Restart() // all of it is on the disk
	dir, listen := t.TempDir(), process.FreeAddress(t)
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	home, url := filepath.Join(dir, "alice"), "http://"+listen+"/"
	if err := os.MkdirAll(filepath.Join(home, "dist"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"maps", "other", "old"} {
		devpitest.Wheel(project, "1.0").Write(t, filepath.Join(home, "dist"))
	}
	for name, text := range map[string]string{"password": "secret", "old.pass": old} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "/bin/bash", "-ec", pageScript(t, url, listen, d.URL), "bash", dir)
	cmd.Env = []string{
		"PATH=/usr/local/bin:" + devpitest.NewDesk(t).Bin() + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + home, "URL=" + url, "DEVPI_DIR=" + d.Dir, "REPOSITORY=" + repository,
		"TWINE_NON_INTERACTIVE=1", "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring", "LANG=C.UTF-8", "COLUMNS=200", "NO_COLOR=1",
	}
	raw, err := cmd.CombinedOutput()
	out := string(raw)
	t.Log(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Everything that was looked at is well.", "believes the gateway", "Projects:     maps\n", "Token denied access to project 'other'", "Took over 1 token",
		"upload at alice/dev maps", "upload at alice/dev other", "upload at alice/dev old", "from devpi-tokens",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if got := strings.Join(regexp.MustCompile("(?m)^-- .*").FindAllString(out, -1), ""); got != "-- 0-- 0-- 0-- 1-- 0" {
		t.Errorf("how alice's commands ended: %s", got)
	}
}

// TestGatewayPageYAML: the page's pieces of configuration belong into the one that
// it installs.
func TestGatewayPageYAML(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(pageText(t, gatewayPage), -1)
	if len(blocks) != 1 {
		t.Fatalf("%d pieces", len(blocks))
	}
	s := newShopTo(t, "http://127.0.0.1:9/", "")
	path := s.file("etc/gateway.yaml", pageText(t, "../../deploy/gateway.yaml")+blocks[0][1])
	a := s.app(s.log)
	c, err := a.readConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	svc := &service{config: c, log: slog.New(slog.DiscardHandler), now: time.Now}
	if x, err := svc.newExchange(a, true); err != nil || x == nil {
		t.Error(x, err)
	}
}

// pageScript is the page's commands for a machine whose addresses are others, with
// a line after each of what alice tries that says how it ended.
func pageScript(t *testing.T, url, listen, upstream string) string {
	t.Helper()
	costs := fmt.Sprintf(" --argon2-time-cost %d --argon2-memory-cost %d ", devpitest.TimeCost, devpitest.MemoryCost)
	adapt := strings.NewReplacer(
		"make install ", "make install --old-file=build BINS='"+shipped(t)+"' ", "https://pypi.example.org/", url,
		" admin devpi-key ", " admin devpi-key"+costs, " admin devpi-import ", " admin devpi-import"+costs,
		" --user alice ", " --user alice --password @password ",
	)
	const config = "/etc/daypass-gateway/gateway.yaml"
	script, seen := pagePrelude, 0
	try := func(lines string) {
		script += "cd \"$HOME\"\n"
		for line := range strings.Lines(lines) {
			script += "end=0; " + strings.TrimSpace(line) + " || end=$?; printf '\\n-- %d\\n' $end\n"
		}
		script += "cd \"$REPOSITORY\"\n"
	}
	for _, b := range pageBlocks(t, gatewayPage) {
		seen++
		script += "echo '## " + b[0] + "'\n"
		text := adapt.Replace(b[1])
		if b[0] == "Try it" {
			try(text)
			continue
		}
		script += text
		if strings.Contains(text, "gateway.yaml /etc/daypass-gateway/") { // "Change url, name somebody who has an account …"
			script += "sed -i -e 's|https://pypi.example.org/|" + url + "|' -e 's|127.0.0.1:3142|" + listen + "|' -e 's|http://127.0.0.1:3141/|" + upstream +
				"|' -e 's|# self_test:|self_test:|' " + config + "\n"
		}
	}
	if seen != 7 {
		t.Fatalf("%d pieces", seen)
	}
	try("daypass run --index " + url + "alice/dev/ --file old.pass -- twine upload dist/old-1.0-py3-none-any.whl")
	for _, command := range []string{"events", "passes list alice", "check"} {
		script += "sudo -u daypass-gateway daypass admin " + command + " --config " + config + "\n"
	}
	return script
}
