package canvas

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A Course is one that the person who asks teaches.
type Course struct {
	ID    string // of its source: "courses/42"
	Name  string // as they call it
	Code  string // such as "PH142-F26"; may be empty
	State string // "unpublished", "available" or "completed"
}

// A course is what the API says of one.
type course struct {
	ID         number `json:"id"`
	Name       string `json:"name"`
	Code       string `json:"course_code"`
	State      string `json:"workflow_state"`
	Restricted bool   `json:"access_restricted_by_date"`
	Enrolments []struct {
		Type  string `json:"type"`
		State string `json:"enrollment_state"`
	} `json:"enrollments"`
}

// taught reports whether it is one that the person who asks teaches, and may enter.
func (c course) taught() bool {
	if c.ID == "" || c.Name == "" || c.Restricted || c.State == "deleted" {
		return false
	}
	for _, e := range c.Enrolments {
		if slices.Contains(teaching, e.Type) && (e.State == "" || e.State == "active" || e.State == "completed") {
			return true
		}
	}
	return false
}

// maxCoursePages bounds the requests of a list of courses: a hundred each.
const maxCoursePages = 5

// teaching are the enrolments of who may show a course's files to its students (doc
// "Courses"). A role that an admin made has one of these as its type.
var teaching = []string{"teacher", "ta", "designer"}

// Courses lists the courses that this person teaches, in the order of their names, at most
// limit; whole is false where there are more. Those that they only attend are left out,
// and so are those that Canvas names no longer, or not yet (doc "Courses", "List your
// courses"). DP-422: the token is not good for
// that.
func (v *Canvas) Courses(ctx context.Context, limit int) (out []Course, whole bool, err error) {
	at, pages, known := v.address("courses", many()), map[string]bool{}, map[number]bool{}
	for whole = true; at != ""; {
		if pages[at] || len(pages) >= maxCoursePages || len(known) > 100*maxCoursePages {
			whole = false
			break
		}
		pages[at] = true
		var page []course
		header, err := v.read(ctx, at, &page)
		if errors.Is(err, daypass.ErrNoSource) {
			return nil, false, v.noCourses()
		}
		if err != nil {
			return nil, false, err
		}
		for _, c := range page {
			if !known[c.ID] && c.taught() {
				known[c.ID] = true
				out = append(out, Course{ID: "courses/" + string(c.ID), Name: c.Name, Code: c.Code, State: c.State})
			}
		}
		if at, err = v.next(header); err != nil {
			return nil, false, err
		}
	}
	slices.SortStableFunc(out, func(a, b Course) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	if len(out) > limit {
		out, whole = out[:limit], false
	}
	return out, whole, nil
}

// noCourses: where the token reads a course that is named, it may not be good for the list
// of them.
func (v *Canvas) noCourses() error {
	return &daypass.Problem{
		Code: "DP-422", What: "Canvas at " + v.Host + " does not list your courses", Why: "the connection was made without the right to list them",
		Next: "Connect it again, or paste the address of the course.", Who: `The developer key needs the scope "url:GET|/api/v1/courses".`, Kind: daypass.ErrRefused,
	}
}
