package hubtest

import (
	"path/filepath"
	"runtime"
	"strings"
)

// config is the hub's jupyterhub_config.py. What daypass adds to a hub comes from
// python/daypass_hub.py, as at a site.
func (h *Hub) config() string {
	c := h.c
	lines := []string{
		`c = get_config()  # noqa`,
		`c.JupyterHub.bind_url = ` + python(h.Public),
		`c.JupyterHub.hub_bind_url = ` + python(h.hubURL),
		`c.ConfigurableHTTPProxy.should_start = False`,
		`c.ConfigurableHTTPProxy.api_url = ` + python(h.proxyAPI),
		`c.JupyterHub.db_url = ` + python("sqlite:///"+filepath.Join(h.Dir, "hub.sqlite")),
		`c.JupyterHub.cookie_secret_file = ` + python(filepath.Join(h.Dir, "cookie")),
		`c.JupyterHub.allow_named_servers = True`,
		`c.JupyterHub.spawner_class = "simple"`,
		`c.JupyterHub.concurrent_spawn_limit = 0`,
		`c.SimpleLocalProcessSpawner.home_dir_template = ` + python(filepath.Join(h.Dir, "home")+"/{username}"),
		`c.Spawner.cmd = ` + python([]string{filepath.Join(c.Prefix, "bin", "python3"), filepath.Join(h.Dir, "standin.py"), h.Dir}),
		`c.Spawner.poll_interval = 1`,
		`c.CryptKeeper.keys = ["` + strings.Repeat("5a", 32) + `"]`,
		`c.Authenticator.allow_all = True`,
		`c.JupyterHub.services = [`,
		`    {"name": "rig", "api_token": ` + python(h.Token) + `},`,
		`    {"name": "managed", "api_token": ` + python(h.Other) + `, "oauth_redirect_uri": ` + python(h.OtherRedirect) + `, "oauth_client_id": "service-managed", "oauth_no_confirm": True},`,
		`]`,
		`c.JupyterHub.load_roles = [`,
		`    {"name": "rig", "services": ["rig"], "scopes": ["admin:users", "admin:servers", "admin:groups", "tokens", "admin:auth_state"]},`,
		`    {"name": "user", "scopes": ["self", "access:services!service=managed"]},`,
		`]`,
	}
	if c.KeepServers {
		lines = append(lines, `c.JupyterHub.cleanup_servers = False`)
	}
	lines = append(lines, h.login()...)
	lines = append(lines, c.Extra, `import sys`, `sys.path.insert(0, `+python(pythonFolder())+`)`, `import daypass_hub`,
		`daypass_hub.configure(`,
		`    c,`,
		`    broker_url=`+python(c.Broker)+`,`,
		`    hook_token_file=`+python(filepath.Join(h.Dir, "hook"))+`,`,
		`    service_token_file=`+python(filepath.Join(h.Dir, "service"))+`,`,
		`    oauth_redirect_uri=`+python(h.Redirect)+`,`)
	if c.ServiceURL != "" {
		lines = append(lines, `    service_url=`+python(c.ServiceURL)+`,`)
	}
	return strings.Join(append(lines, c.Configure, `)`, c.Late, ``), "\n")
}

func (h *Hub) login() []string {
	g := h.c.GitHub
	if g == nil {
		return []string{`c.JupyterHub.authenticator_class = "dummy"`}
	}
	class := "GitHubOAuthenticator"
	if g.Local {
		class = "LocalGitHubOAuthenticator"
	}
	return []string{
		`from oauthenticator.github import ` + class,
		`c.LocalAuthenticator.create_system_users = True`,
		`c.LocalAuthenticator.add_user_cmd = ["true"]`,
		`c.GitHubOAuthenticator.oauth_callback_url = ` + python(h.Public+"hub/oauth_callback"),
		`c.GitHubOAuthenticator.client_id = ` + python(g.ClientID),
		`c.GitHubOAuthenticator.client_secret = ` + python(g.Secret),
		`c.GitHubOAuthenticator.enable_auth_state = True`,
		`c.JupyterHub.authenticator_class = ` + class,
	}
}

// pythonFolder is the module's python/, found from this file.
func pythonFolder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "python")
}
