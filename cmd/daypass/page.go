package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/resolve"
)

// settingsVariable is where daypass-page finds its settings.
const settingsVariable = "DAYPASS_PAGE"

// pageSettings are what daypass-page is told: pullpage.Settings, which is not
// imported here, since its templates would cost every command its start. A test
// holds the two together.
type pageSettings struct {
	Program string   `json:"program"`
	Parent  string   `json:"parent,omitempty"`
	App     string   `json:"app,omitempty"`
	Depth   *int     `json:"depth,omitempty"`
	Owners  []string `json:"owners,omitempty"`
	Home    string   `json:"home"`
	State   string   `json:"state"`
	Version string   `json:"version,omitempty"`
	Service string   `json:"service,omitempty"`
	// Sites are hosts of content that cannot be told by their names.
	Sites resolve.Sites `json:"sites,omitzero"`
	// Wrong is a problem of the settings: the page itself tells it, since a student
	// would else see that nothing answers.
	Wrong map[string]string `json:"wrong,omitempty"`
}

// pageCommand starts daypass-page, which lies beside daypass, for Jupyter
// Server's proxy.
func (a *app) pageCommand() *cobra.Command {
	return &cobra.Command{
		Use: "page …", Short: "Serve the pull page, for jupyter-server-proxy", Hidden: true, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := ownDir()
			if err != nil {
				return err
			}
			settings, err := a.pageSettings()
			var p *daypass.Problem
			switch {
			case errors.As(err, &p):
				settings = pageSettings{Wrong: map[string]string{"code": p.Code, "what": p.What, "why": p.Why, "next": p.Next, "who": p.Who}, Version: daypass.Version}
			case err != nil:
				return err
			}
			text, err := json.Marshal(settings)
			if err != nil {
				return err
			}
			path := filepath.Join(dir, "daypass-page")
			env := append(environment(os.Environ(), settingsVariable), settingsVariable+"="+string(text))
			err = syscall.Exec(path, append([]string{path}, args...), env)
			return &daypass.Problem{
				Code: "DP-373", What: "the pull page could not be started", Why: "daypass-page has to lie in the same folder as daypass",
				Next: `Install both again ("make install").`, Err: err,
			}
		},
	}
}

// pageSettings come from the configuration; variables of the environment win,
// nbgitpuller's own among them.
func (a *app) pageSettings() (pageSettings, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return pageSettings{}, err
	}
	dir, err := ownDir()
	if err != nil {
		return pageSettings{}, err
	}
	home, err := a.dataHome()
	if err != nil {
		return pageSettings{}, err
	}
	depth, err := a.pullDepth(cfg.pull)
	if err != nil {
		return pageSettings{}, err
	}
	out := pageSettings{
		Program: filepath.Join(dir, "daypass"), Depth: &depth, Owners: cfg.pull.Owners,
		Home: filepath.Join(home, "pulls"), State: filepath.Join(home, "page"), Version: daypass.Version,
		Service: a.serviceURL(cfg), Sites: a.sites(cfg),
	}
	out.Parent = first(a.getenv("DAYPASS_PULL_PARENT"), a.getenv("NBGITPULLER_PARENTPATH"), cfg.pull.Parent)
	if why := parentMistake(out.Parent); why != "" && !filepath.IsAbs(out.Parent) { // the page knows the root
		return out, variableProblem("DAYPASS_PULL_PARENT or NBGITPULLER_PARENTPATH", why)
	}
	out.App = a.getenv("DAYPASS_PULL_APP")
	if why := appMistake(out.App); why != "" {
		return out, variableProblem("DAYPASS_PULL_APP", why)
	}
	if v := a.getenv("NBGITPULLER_APP"); appMistake(v) == "" { // nbgitpuller takes what it does not know for its default
		out.App = first(out.App, v)
	}
	out.App = first(out.App, cfg.pull.App)
	return out, nil
}
