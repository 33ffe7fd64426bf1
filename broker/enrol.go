package broker

import (
	"cmp"
	"context"
	"errors"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// Enrol lets an account of the hub's read a source by rules, and by links of those
// who may use the account.
func (b *Broker) Enrol(ctx context.Context, s daypass.Source, account, by string) error {
	s.Ref, s.Path = "", ""
	known := false
	for _, a := range b.Sources.Drive {
		known = known || a.Account == account && a.host() == s.Host && s.Kind == daypass.KindDrive
	}
	if !known || !sound(s) {
		return &daypass.Problem{
			Code: "DP-745", What: "that cannot be enrolled", Why: "it is no folder of Google Drive, or no account of that name reads there",
			Next: "Accounts are named under sources.drive in the configuration.", Kind: daypass.ErrUsage,
		}
	}
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.PutEnrolment(store.Enrolment{Hub: b.Hub.ID, Source: s, Account: account, By: by})
		if err == nil {
			tx.Record(b.enrolEvent(s, account, by, "enrolled for the account "))
		}
		return err
	})
	b.linked.drop()
	if errors.Is(err, store.ErrTaken) {
		return nil
	}
	return storeProblem(err)
}

// Unenrol takes that back. Links that stood on it end being readable at once.
func (b *Broker) Unenrol(ctx context.Context, s daypass.Source, account, by string) error {
	s.Ref, s.Path = "", ""
	ok := false
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		var err error
		if ok, err = tx.DropEnrolment(b.Hub.ID, s, account); err == nil && ok {
			tx.Record(b.enrolEvent(s, account, by, "taken off the list of the account "))
		}
		return err
	})
	b.linked.drop()
	if err == nil && !ok {
		return &daypass.Problem{Code: "DP-746", What: "that is not enrolled", Next: `"daypass admin sources" lists what is; what stands in the configuration is changed there.`, Kind: daypass.ErrUsage}
	}
	return storeProblem(err)
}

func (b *Broker) enrolEvent(s daypass.Source, account, by, what string) store.Event {
	return store.Event{At: b.Now(), Kind: store.Enrolled, Hub: b.Hub.ID, User: by, Host: s.Host, Repo: s.ID, Account: account, Outcome: store.OK, Why: what + account}
}

// Enrolled lists what may be read as the hub by rules, and by links of those who may
// use the account: what the configuration says, then what was enrolled since. look
// asks Google for each whether it still may be, and notes the answer.
func (b *Broker) Enrolled(ctx context.Context, look bool) ([]store.Enrolment, error) {
	var out []store.Enrolment
	for _, a := range b.Sources.Drive {
		for _, id := range a.Folders {
			out = append(out, store.Enrolment{Hub: b.Hub.ID, Source: daypass.Source{Kind: daypass.KindDrive, Host: a.host(), ID: id}, Account: a.Account, By: "the configuration"})
		}
	}
	rows, err := b.Store.Enrolments(ctx, b.Hub.ID)
	out = append(out, rows...)
	if err != nil || !look || b.Sources.Look == nil {
		return out, storeProblem(err)
	}
	for i, e := range out {
		_, err := b.looked(ctx, Reading{Source: e.Source, As: asHubPrefix + e.Account, Account: e.Account})
		out[i].Checked, out[i].Problem = b.Now(), ""
		if err != nil {
			out[i].Problem = cmp.Or(code(err), "failed")
		}
		if e.ID == 0 {
			continue
		}
		if err := b.Store.Write(ctx, func(tx *store.Tx) error { return tx.CheckedEnrolment(e.ID, out[i].Problem) }); err != nil {
			return out, storeProblem(err)
		}
	}
	return out, nil
}
