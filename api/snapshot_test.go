package api_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/api"
)

func TestSnapshotQuery(t *testing.T) {
	id := strings.Repeat("a1", 20)
	for _, q := range []api.SnapshotQuery{
		{Link: "ph142-lab1"}, {Link: "abc", Have: id}, {Source: "drive:drive.google.com/1AbC#data/raw"}, {Link: "abc", Include: []string{"*.csv", "data/é.bin"}},
	} {
		got, why := api.ParseSnapshotQuery(q.Values())
		if why != "" || !reflect.DeepEqual(got, q) {
			t.Errorf("%+v came back as %+v, %q", q, got, why)
		}
	}
	for _, text := range []string{
		"", "link=abc&source=git:github.com/o/r", "link=ab", "link=Abc", "link=a/b", "link=abc&link=abd", "link=", "link=abc&have=HEAD", "link=abc&have=" + id[1:],
		"link=abc&have=" + strings.ToUpper(id), "source=nothing", "source=git:github.com/../x%40", "link=abc&ref=main", "link=abc&include=", "link=abc&include=%00", "link=abc&include=a%0Ab",
		"link=abc" + strings.Repeat("&include=x", 17), "link=abc&include=" + strings.Repeat("x", 600), "source=" + url.QueryEscape("git:github.com/o/"+strings.Repeat("r", 1100)),
	} {
		v, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if q, why := api.ParseSnapshotQuery(v); why == "" {
			t.Errorf("%q was read as %+v", text, q)
		}
	}
}
