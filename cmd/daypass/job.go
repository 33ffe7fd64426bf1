package main

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// schedulerTime bounds what Slurm is waited for.
const schedulerTime = 10 * time.Second

// forJob narrows to the life of the job that daypass runs in: a Slurm job's own
// end, or a hub server's life, which the access service checks at each use.
func (a *app) forJob(ctx context.Context, l *pass.Limits) error {
	if id := a.getenv("SLURM_JOB_ID"); id != "" {
		end, err := a.slurmEnd(ctx, id)
		if err != nil {
			return err
		}
		if l.Expires.IsZero() || end.Before(l.Expires) {
			l.Expires = end
		}
		return nil
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	if a.getenv("JUPYTERHUB_API_TOKEN") == "" || a.serviceURL(cfg) == "" {
		return noJob("neither SLURM_JOB_ID nor a hub's server is to be seen here", nil)
	}
	s, err := a.serviceOfHub(cfg)
	if err != nil {
		return err
	}
	me, err := s.Me(ctx)
	if err != nil {
		return told(err, cfg.host)
	}
	name := me.Server
	switch name {
	case "", "unknown":
		return noJob("the access service cannot tell which of your servers this is", nil)
	case "default":
		name = ""
	}
	var started time.Time
	if me.Started != nil {
		started = *me.Started
	} else {
		a.screen(false).say("The hub does not tell when this server was started, so that the pass is good again whenever a server of that name runs.")
	}
	l.Servers = append(l.Servers, pass.ServerItem(name, started))
	return nil
}

func noJob(why string, err error) error {
	return &daypass.Problem{
		Code: "DP-146", What: "no end of a job is known here", Why: why,
		Next: "Run it inside of the job, or say --expires.", Kind: daypass.ErrUsage, Err: err,
	}
}

// slurmEnd is when a job ends at the latest: what Slurm 23.02 and later tell
// every job (SLURM_JOB_END_TIME), else what scontrol says, in seconds since
// 1970 so that no time zone comes into it (SLURM_TIME_FORMAT).
func (a *app) slurmEnd(ctx context.Context, id string) (time.Time, error) {
	if n, err := strconv.ParseInt(a.getenv("SLURM_JOB_END_TIME"), 10, 64); err == nil && n > 0 {
		return time.Unix(n, 0), nil
	}
	if _, err := strconv.ParseUint(id, 10, 64); err != nil {
		return time.Time{}, noJob("SLURM_JOB_ID is no job's number", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, schedulerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "scontrol", "-o", "show", "job", id)
	cmd.Env = append(environment(a.environ(), append(cleared(), "SLURM_TIME_FORMAT")...), "SLURM_TIME_FORMAT=%s")
	cmd.WaitDelay = time.Second
	text, err := cmd.Output()
	if err != nil {
		return time.Time{}, noJob("scontrol does not tell when job "+id+" ends", err)
	}
	return jobEnd(string(text), id)
}

// jobEnd reads what scontrol -o show job says, a line for each part of a job of
// several, and returns the earliest end.
func jobEnd(text, id string) (time.Time, error) {
	end := daypass.Forever
	for field := range strings.FieldsSeq(text) {
		value, ok := strings.CutPrefix(field, "EndTime=")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n <= 0 {
			return time.Time{}, noJob("job "+id+" has no time limit", err)
		}
		if t := time.Unix(n, 0); t.Before(end) {
			end = t
		}
	}
	if !end.Before(daypass.Forever) {
		return time.Time{}, noJob("scontrol does not tell when job "+id+" ends", nil)
	}
	return end, nil
}

// serviceOfHub is the access service, asked with the hub's own token: a pass
// does not say in which server it is.
func (a *app) serviceOfHub(cfg config) (*service, error) {
	plain := *a
	plain.getenv = func(name string) string {
		if name == "DAYPASS_TOKEN" || name == "DAYPASS_TOKEN_FILE" {
			return ""
		}
		return a.getenv(name)
	}
	s, err := plain.service(cfg)
	if err == nil && s == nil {
		err = errors.New("no access service")
	}
	return s, err
}
