package drive

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// An apiError is the body of the API's refusals.
type apiError struct {
	Error struct {
		Code    int    `json:"code"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Errors  []struct {
			Reason string `json:"reason"`
		} `json:"errors"`
	} `json:"error"`
}

// reason is the API's word for a refusal; "" where the answer is not the API's.
func reason(body []byte) string {
	var e apiError
	if json.Unmarshal(body, &e) != nil || e.Error.Code == 0 {
		return ""
	}
	if len(e.Error.Errors) > 0 && e.Error.Errors[0].Reason != "" {
		return e.Error.Errors[0].Reason
	}
	return "unknown"
}

// errPage: the API does not take what a request said, such as a page of long ago.
var errPage = errors.New("drive: no such page")

// again: Drive says that too much was asked by status 403 as well (Google's guide
// "Resolve errors").
func again(status int, _ http.Header, body []byte) bool {
	r := reason(body)
	return status == http.StatusForbidden && (r == "rateLimitExceeded" || r == "userRateLimitExceeded")
}

func never(_ int, _ http.Header, body []byte) bool { return reason(body) == "dailyLimitExceeded" }

// refusal makes a message of an answer that is not what was asked for, and closes it.
func (d *Drive) refusal(ctx context.Context, res *http.Response) error {
	body, err := readonly.ReadAll(res, 1<<20)
	if err != nil {
		return readonly.Failure(d.host, err)
	}
	why := reason(body)
	if res.StatusCode >= 500 || why == "" {
		return readonly.Failure(d.host, errors.New("no answer of the API"))
	}
	switch why {
	case "rateLimitExceeded", "userRateLimitExceeded":
		return readonly.Limited(d.host, max(readonly.After(res, d.Now()), time.Minute))
	case "dailyLimitExceeded":
		return readonly.Limited(d.host, 24*time.Hour)
	case "downloadQuotaExceeded":
		return one("its quota for downloads is used up, for up to a day", "Try again tomorrow, or ask its owner to make a copy.")
	case "cannotDownloadAbusiveFile":
		return one("Google takes it for harmful", "Ask its owner.")
	case "exportSizeLimitExceeded":
		return one("what is made of it is larger than the 10 MB that Google exports", "Ask its owner to put a file of another type into the folder.")
	case "cannotDownloadFile", "cannotExportFile", "fileNotDownloadable", "fileNotExportable":
		return one("Google does not let it be downloaded", "Ask its owner whether viewers may download it.")
	case "accessNotConfigured", "SERVICE_DISABLED":
		return d.forbidden("the project of the service account does not use the Drive API", "An admin of the project turns it on.")
	case "domainPolicy":
		return d.forbidden("a rule of the Workspace that it belongs to forbids it", "An admin of that Workspace can allow sharing with the service account.")
	case "insufficientPermissions", "forbidden", "authError":
		return d.forbidden("Google does not take the service account's token for this", "An admin checks the account and its key.")
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		return readonly.Limited(d.host, max(readonly.After(res, d.Now()), time.Minute))
	case http.StatusBadRequest:
		return &daypass.Problem{
			Code: "DP-419", What: "Google Drive did not answer what was asked", Why: "it does not know a page of a list any more", Next: "Try again in a minute.",
			Kind: daypass.ErrUnreachable, Err: errPage,
		}
	}
	return d.none(ctx)
}

// none: there is no such file, or the account may not see it, which Drive answers in
// one way.
func (d *Drive) none(ctx context.Context) *daypass.Problem {
	p := &daypass.Problem{
		Code: "DP-417", What: "Google Drive shows no such folder or file", Why: "it does not exist, or is not shared with the service account",
		Next: "Share it with the service account, as a viewer.", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource,
	}
	if d.Email != nil {
		if email, err := d.Email(ctx); err == nil && email != "" {
			p.Next = "Share it with " + email + ", as a viewer."
		}
	}
	return p
}

func (d *Drive) forbidden(why, who string) error {
	return &daypass.Problem{
		Code: "DP-418", What: "Google Drive refuses the service account", Why: why, Next: "Ask whoever runs this hub.", Who: who, Kind: daypass.ErrRefused,
	}
}

// one is a file that cannot be had, of a folder that can.
func one(why, next string) error {
	return &daypass.Problem{Code: "DP-420", What: "A file on Google Drive cannot be had", Why: why, Next: next, Kind: daypass.ErrRefused}
}

// partial: a listing that may lack something.
func partial(why string) error {
	return &daypass.Problem{
		Code: "DP-419", What: "The folder on Google Drive was not listed whole", Why: why, Next: "Try again in a few minutes; if it says the same, share a smaller folder.", Kind: daypass.ErrUnreachable,
	}
}

// units is what a call costs of the quota of units ("Usage limits" of May 2026).
func units(req *http.Request) int {
	path, q := req.URL.Path, req.URL.RawQuery
	switch {
	case strings.HasSuffix(path, "/export") || strings.Contains(q, "alt=media"):
		return fileUnits
	case strings.HasSuffix(path, "/files") || strings.HasSuffix(path, "/changes"):
		return 100
	}
	return 5
}
