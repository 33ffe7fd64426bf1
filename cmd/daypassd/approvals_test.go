package main

import (
	"context"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

// TestApprovalsByName: of servers named like what stands where there is no name,
// the one that waits for a click is the one that is shown.
func TestApprovalsByName(t *testing.T) {
	o := newOffice(t, "limits: {repositories_per_day: 2}")
	d := o.open()
	jo := daypass.Caller{User: daypass.User{Hub: "hub", Name: "jo", Created: time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)}, Via: daypass.ViaBrowser}
	person, err := d.broker.Enter(t.Context(), jo)
	if err != nil {
		t.Fatal(err)
	}
	f := &face{b: d.broker, db: d.db, now: time.Now}
	for _, busy := range []daypass.Server{{}, {Known: true}, {Known: true, Name: "default"}, {Known: true, Name: "unknown"}, {Known: true, Name: "gpu"}} {
		now := time.Now()
		day := now.UTC().Format("2006-01-02")
		err := d.db.Write(context.Background(), func(tx *store.Tx) error {
			for id := range int64(2) {
				if err := tx.Visit(person, busy, day, o.host(), id+1); err != nil {
					return err
				}
			}
			tx.Record(store.Event{At: now, Kind: store.Refusal, Outcome: store.Refused, Person: person, Code: "DP-823", Server: busy.String()})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.approvals(t.Context(), jo)
		want := server.Approval{Server: busy, Count: 2, Limit: 2}
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%+v waits, shown are %+v, %v", busy, got, err)
		}
		if err := d.broker.Approve(t.Context(), jo, busy, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := f.approvals(t.Context(), jo); err != nil || len(got) != 0 {
			t.Errorf("%+v was allowed, shown are %+v, %v", busy, got, err)
		}
	}
}
