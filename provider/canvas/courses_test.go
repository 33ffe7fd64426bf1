package canvas_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
)

// coursesSeed are courses in which a person has each of the parts that there are.
func coursesSeed() fake.CanvasSeed {
	const tea = teacher
	return fake.CanvasSeed{
		Keys:  []fake.CanvasKey{{ID: "1", Secret: "s", Redirects: []string{"127.0.0.1"}, Scopes: oauth.Scopes()}},
		Users: []fake.CanvasUser{{ID: tea, Name: "Tea"}, {ID: student, Name: "Stu"}},
		Courses: []fake.CanvasCourse{
			{ID: 10, Name: "waves", Code: "PH 7", Teachers: []int64{tea}}, {ID: 11, Name: "Attended", Teachers: []int64{other}, Students: []int64{tea}},
			{ID: 12, Name: "Assisted", Others: map[int64]string{tea: "ta"}}, {ID: 13, Name: "Designed", Others: map[int64]string{tea: "designer"}}, {ID: 14, Name: "Observed", Others: map[int64]string{tea: "observer"}},
			{ID: 15, Name: "Next term", State: "unpublished", Teachers: []int64{tea}}, {ID: 16, Name: "Last term", State: "completed", Teachers: []int64{tea}}, {ID: 17, Name: "Deleted", State: "deleted", Teachers: []int64{tea}},
			{ID: 18, Name: "Closed", Closed: true, Teachers: []int64{tea}}, {ID: 19, Name: "Invited", Teachers: []int64{tea}, Invited: []int64{tea}}, {ID: 20, Name: "Both", Teachers: []int64{tea}, Students: []int64{tea}},
			{ID: 21, Name: "Of others", Teachers: []int64{other}}, {ID: 1234*fake.CanvasShard + 22, Name: "Elsewhere", Teachers: []int64{tea}},
		},
	}
}

// TestCourses: there are the courses that a person teaches, by as few requests as the
// site's pages allow, and none that they only attend.
func TestCourses(t *testing.T) {
	want := []string{"Assisted courses/12", "Both courses/20", "Designed courses/13", "Elsewhere courses/12340000000000022", "Last term courses/16 completed", "Next term courses/15 unpublished", "waves courses/10"}
	for page, requests := range map[int]int{100: 1, 4: 3} {
		b := newBench(t, coursesSeed(), fake.CanvasSwitches{MaxPage: page}, teacher, nil)
		list, whole, err := b.read.Courses(t.Context(), 50)
		var got []string
		for _, c := range list {
			got = append(got, strings.TrimSuffix(c.Name+" "+c.ID+" "+c.State, " available"))
			if _, err := b.read.Look(t.Context(), source(c.ID), ""); err != nil {
				t.Errorf("%s is offered and is no source: %v", c.ID, err)
			}
		}
		if err != nil || !whole || !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, whole %v, %v", page, got, whole, err)
		}
		n := 0
		for _, r := range b.Requests() {
			if r.Method != http.MethodGet {
				t.Errorf("%s %s", r.Method, r.Path)
			}
			if r.Path == "/api/v1/courses" {
				n++
			}
		}
		if n != requests || list[len(list)-1].Code != "PH 7" {
			t.Errorf("pages of %d: %d requests, the code is %q", page, n, list[len(list)-1].Code)
		}
	}
	b := newBench(t, coursesSeed(), fake.CanvasSwitches{}, student, nil)
	if list, whole, err := b.read.Courses(t.Context(), 50); err != nil || !whole || len(list) != 0 {
		t.Errorf("who teaches nothing: %v, %v, %v", list, whole, err)
	}
}

// TestCoursesAreBounded: in how many are listed, and in how much is asked for them.
func TestCoursesAreBounded(t *testing.T) {
	seed := coursesSeed()
	for n := range 40 {
		seed.Courses = append(seed.Courses, fake.CanvasCourse{ID: int64(1000 + n), Name: fmt.Sprintf("many %02d", n), Teachers: []int64{teacher}})
	}
	b := newBench(t, seed, fake.CanvasSwitches{}, teacher, nil)
	if list, whole, err := b.read.Courses(t.Context(), 10); err != nil || whole || len(list) != 10 {
		t.Errorf("%d, whole %v, %v", len(list), whole, err)
	}
	b = newBench(t, seed, fake.CanvasSwitches{MaxPage: 2}, teacher, nil)
	list, whole, err := b.read.Courses(t.Context(), 100)
	if n := len(b.Requests()); err != nil || whole || len(list) == 0 || n != 5 {
		t.Errorf("short pages: %d, whole %v, %v, by %d requests", len(list), whole, err, n)
	}
	body := "[" + strings.TrimSuffix(strings.Repeat(`{"id":7,"name":"same","enrollments":[{"type":"teacher"}]},`, 5000), ",") + "]"
	b = newBench(t, seed, fake.CanvasSwitches{}, teacher, nil)
	b.Fault(fake.PathIs("/api/v1/courses"), fake.Fault{Kind: fake.FaultStatus, Status: 200, Body: body, Header: http.Header{"Link": {`<https://` + host + `/api/v1/courses?per_page=100>; rel="next"`}}})
	if list, whole, err := b.read.Courses(t.Context(), 100); err != nil || whole || len(list) != 1 || len(b.Requests()) != 1 {
		t.Errorf("round in a circle: %d, whole %v, %v", len(list), whole, err)
	}
}

// TestCoursesByNarrowConnection: a connection from before the right to list courses was
// asked for is told apart, and reads a course that is named.
func TestCoursesByNarrowConnection(t *testing.T) {
	b := newBench(t, coursesSeed(), fake.CanvasSwitches{}, teacher, nil)
	const back = "https://127.0.0.1/back"
	site, err := oauth.New(oauth.Config{Host: host, ClientID: "1", ClientSecret: daypass.NewSecret("s"), Base: fake.Transport(b.Canvas)})
	if err != nil {
		t.Fatal(err)
	}
	page, err := url.Parse(site.ConsentURL(daypass.Consent{State: "s", Redirect: back}))
	if err != nil {
		t.Fatal(err)
	}
	q := page.Query()
	q.Set("scope", strings.Join(slices.DeleteFunc(oauth.Scopes(), func(s string) bool { return s == "url:GET|/api/v1/courses" }), " "))
	q.Del("code_challenge")
	page.RawQuery = q.Encode()
	to, err := b.Authorize(page.String(), teacher)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g, err := site.Exchange(t.Context(), u.Query().Get("code"), "", back)
	if err != nil {
		t.Fatal(err)
	}
	read := canvas.New(canvas.Config{Host: host, Token: func(context.Context) (daypass.Secret, error) { return g.Access, nil }, Base: fake.Transport(b.Canvas)})
	if _, _, err := read.Courses(t.Context(), 10); code(err) != "DP-422" {
		t.Errorf("listing: %v", err)
	}
	if _, err := read.Look(t.Context(), source("courses/10"), ""); err != nil {
		t.Errorf("a course that is named: %v", err)
	}
}

// TestCoursesFail: each way of it is told apart, and no token goes astray.
func TestCoursesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := fake.PathIs("/api/v1/courses")
		for what, c := range map[string]struct {
			fault fake.Fault
			code  string
			is    error
		}{
			"not for this token": {fake.Fault{Kind: fake.FaultStatus, Status: 401, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"errors":[{"message":"Insufficient scopes on access token."}]}`}, "DP-422", daypass.ErrRefused},
			"busy":               {fake.CanvasBusy(http.StatusForbidden, 0), "DP-411", daypass.ErrLimited},
			"a login page":       {fake.Fault{Kind: fake.FaultStatus, Status: 403, Body: "<html>sign in"}, "DP-410", daypass.ErrUnreachable},
			"broken":             {fake.Fault{Kind: fake.FaultStatus, Status: 200, Body: `{"id":1}`}, "DP-410", daypass.ErrUnreachable},
			"an id that is none": {fake.Fault{Kind: fake.FaultStatus, Status: 200, Body: `[{"id":"../1","name":"x","enrollments":[{"type":"teacher"}]}]`}, "DP-410", daypass.ErrUnreachable},
			"a next page away":   {fake.Fault{Kind: fake.FaultStatus, Status: 200, Body: `[]`, Header: http.Header{"Link": {`<https://sub.` + host + `/api/v1/courses>; rel="next"`}}}, "DP-429", daypass.ErrUnreachable},
		} {
			b := newBench(t, coursesSeed(), fake.CanvasSwitches{}, teacher, nil)
			b.Fault(at, c.fault)
			list, _, err := b.read.Courses(t.Context(), 50)
			if code(err) != c.code || !errors.Is(err, c.is) || len(list) > 0 || strings.Contains(fmt.Sprint(err), b.token) {
				t.Errorf("%s: %v, %v", what, list, err)
			}
			for _, r := range b.Requests() {
				if r.Host != host {
					t.Errorf("%s: %s was asked", what, r.Host)
				}
			}
		}
	})
}
