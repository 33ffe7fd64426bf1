package broker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

var (
	devpi  = pass.Realm{Kind: pass.Index, Name: "devpi"}
	campus = pass.Realm{Kind: pass.Hub, Name: "hub"}
	upload = pass.Facts{Permissions: []string{"upload"}, Indexes: []string{"jo/dev"}, Projects: []string{"maps"}}
)

// book is a book of passes by itself, as a gateway's process has one.
func (r *rig) book(realm pass.Realm, change ...func(*broker.PassConfig)) *broker.PassBook {
	r.t.Helper()
	c := broker.PassConfig{Store: r.db, Realm: realm, Now: r.now}
	for _, f := range change {
		f(&c)
	}
	return broker.NewPassBook(c)
}

// follows runs a book until the test ends.
func follows(t testing.TB, b *broker.PassBook) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func (r *rig) token(b *broker.PassBook, user string, l pass.Limits) broker.Minted {
	r.t.Helper()
	if l.Expires.IsZero() {
		l.Expires = r.now().Add(time.Hour)
	}
	m, err := b.Mint(r.t.Context(), broker.NewPass{User: user, Label: "a token", Via: "devpi", By: user, Limits: l})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func parsed(t testing.TB, text daypass.Secret) pass.Pass {
	t.Helper()
	p, err := pass.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// use opens a pass and uses it.
func use(b *broker.PassBook, p pass.Pass, f pass.Facts) error {
	s, err := b.Open(context.Background(), p)
	if err != nil {
		return err
	}
	return s.Use(context.Background(), f)
}

// TestPassBookAlone: a gateway has no broker.
func TestPassBookAlone(t *testing.T) {
	r := newRig(t)
	b := r.book(devpi)
	m := r.token(b, "jo", pass.Limits{Allowed: []string{"upload"}, Projects: []string{"maps"}})
	p := parsed(t, m.Text)
	if p.Form() != pass.Devpi || m.Row.Realm != "index:devpi" || m.Row.User != "jo" {
		t.Errorf("%v, %+v", p.Form(), m.Row)
	}
	s, err := b.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Use(t.Context(), upload); err != nil {
		t.Error(err)
	}
	other := upload
	other.Projects = []string{"river"}
	err = s.Use(t.Context(), other)
	var limit *pass.Refusal
	if code(err) != "DP-161" || !errors.As(err, &limit) || limit.Kind != pass.KindProjects {
		t.Errorf("another project: %v", err)
	}
	if e, ok, _ := r.db.Event(t.Context(), m.Event); !ok || e.Kind != store.PassMade || e.Pass != "jo/"+m.Row.ID || e.Realm != "index:devpi" || e.User != "jo" {
		t.Errorf("%+v", e)
	}
	if list, err := b.List(t.Context(), store.PassFilter{User: "jo"}); err != nil || len(list) != 1 || list[0].Uses != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	for _, who := range []string{"kim", ""} {
		if ok, _, err := b.End(t.Context(), who, m.Row.ID, "", store.Event{}); ok || err != nil {
			t.Errorf("ended as %q's: %v", who, err)
		}
	}
	if ok, id, err := b.End(t.Context(), "jo", m.Row.ID, "by jo", store.Event{}); !ok || id == "" || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if _, err := b.Open(t.Context(), p); code(err) != "DP-160" || !errors.Is(err, pass.ErrSignature) {
		t.Errorf("ended: %v", err)
	}
	for _, n := range []broker.NewPass{{User: "jo"}, {User: "jo", Limits: pass.Limits{Expires: r.now().Add(-time.Second)}}, {User: "a/b", Limits: pass.Limits{Expires: r.now().Add(time.Hour)}}} {
		if _, err := b.Mint(t.Context(), n); err == nil {
			t.Errorf("made: %+v", n)
		}
	}
}

// TestRealms: the same randomness gives the same user, id and key in each realm,
// and no realm takes another's pass, however it is written.
func TestRealms(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	person, err := r.Enter(t.Context(), browser(jo))
	if err != nil {
		t.Fatal(err)
	}
	same := func(c *broker.PassConfig) { c.Rand = bytes.NewReader(bytes.Repeat([]byte{7, 8, 9, 10, 11, 12}, 200)) }
	plugin := func(c *broker.PassConfig) { c.Plugin = true }
	books := map[string]*broker.PassBook{
		"hub": r.book(campus, same), "another hub": r.book(pass.Realm{Kind: pass.Hub, Name: "devpi"}, same),
		"index": r.book(devpi, same, plugin), "another index": r.book(pass.Realm{Kind: pass.Index, Name: "hub"}, same),
	}
	passes := map[string]pass.Pass{}
	ids := map[string]bool{}
	for name, b := range books {
		n := broker.NewPass{Person: person, Limits: pass.Limits{Expires: r.now().Add(time.Hour)}}
		if b.Realm.Kind == pass.Index {
			n.Person, n.User = 0, "jo"
		}
		m, err := b.Mint(t.Context(), n)
		if err != nil {
			t.Fatal(name, err)
		}
		passes[name], ids[m.Row.ID] = parsed(t, m.Text), true
	}
	if len(ids) != 1 {
		t.Fatalf("the ids are not the same: %v", ids)
	}
	for of, p := range passes {
		for _, form := range []pass.Form{pass.Bare, pass.Daypass, pass.Devpi, pass.PyPI} {
			for in, b := range books {
				_, err := b.Open(t.Context(), parsed(t, p.Text(form)))
				if in == of && err != nil || in != of && code(err) != "DP-160" {
					t.Errorf("the %s's, as %q, in the %s: %v", of, form.Prefix(), in, err)
				}
			}
			if _, err := r.PassCaller(t.Context(), p.Text(form), home); (err == nil) != (of == "hub") {
				t.Errorf("the %s's, as %q, in the broker: %v", of, form.Prefix(), err)
			}
			if _, err := r.EndShownPass(t.Context(), p.Text(form), home, ""); of != "hub" && code(err) != "DP-160" {
				t.Errorf("the %s's, as %q, was ended by the broker: %v", of, form.Prefix(), err)
			}
			if of == "hub" {
				break // it was ended
			}
		}
	}
}

// TestDerivedPasses: what is ended stays ended with one more limit, and a count
// goes on, wherever the limit stands.
func TestDerivedPasses(t *testing.T) {
	r := newRig(t)
	b := r.book(devpi)
	m := r.token(b, "jo", pass.Limits{Uses: 4})
	root := parsed(t, m.Text)
	more := func(p pass.Pass, caveats ...string) pass.Pass {
		q, err := p.Narrow(caveats...)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	one := more(root, "dp:uses=1")
	beside := more(root, "dp:uses=1", "allowed=upload")
	if err := use(b, one, upload); err != nil {
		t.Fatal(err)
	}
	for what, p := range map[string]pass.Pass{"again": one, "one more limit": beside, "and another": more(beside, "dp:uses=1"), "of another kind": more(one, "projects=maps")} {
		if err := use(b, p, upload); code(err) != "DP-162" {
			t.Errorf("%s: %v", what, err)
		}
	}
	other := more(root, "allowed=upload", "dp:uses=1") // another link, and a use of the root's
	if err := use(b, other, upload); err != nil {
		t.Error(err)
	}
	if err := use(b, more(other, "projects=river"), upload); code(err) != "DP-161" {
		t.Errorf("not for the project: %v", err) // and counts nothing
	}
	for range 2 {
		if err := use(b, root, upload); err != nil {
			t.Error(err)
		}
	}
	if err := use(b, root, upload); code(err) != "DP-162" {
		t.Errorf("the fifth of four: %v", err)
	}
	if err := use(r.book(devpi), more(root, "dp:uses=1000"), upload); code(err) != "DP-162" {
		t.Errorf("in another process: %v", err)
	}

	second := parsed(t, r.token(b, "jo", pass.Limits{}).Text)
	child := more(second, "allowed=upload")
	if _, err := b.EndShown(t.Context(), child, store.Event{}); err != nil {
		t.Fatal(err)
	}
	for what, p := range map[string]pass.Pass{"it": child, "narrowed": more(child, "projects=maps"), "widened by trying": more(child, "allowed=upload,pkg_read"), "the same again": more(second, "allowed=upload")} {
		if err := use(b, p, upload); code(err) != "DP-160" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, p := range map[string]pass.Pass{"above": second, "beside": more(second, "allowed=upload,pkg_read")} {
		if err := use(b, p, upload); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestUsesAtOnce: fifty uses of one at the same time, in two processes, some of
// them narrower.
func TestUsesAtOnce(t *testing.T) {
	r := newRig(t)
	books := []*broker.PassBook{r.book(devpi), r.book(devpi, func(c *broker.PassConfig) { c.Store = r.open() })}
	p := parsed(t, r.token(books[0], "jo", pass.Limits{Uses: 1}).Text)
	narrow, err := p.Narrow("allowed=upload")
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 50)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = use(books[i%2], []pass.Pass{p, narrow}[i/2%2], upload) })
	}
	wg.Wait()
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		} else if code(err) != "DP-162" {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("%d of one use", good)
	}
}

// TestPassBookFollows: what lies in memory is forgotten within half a second of
// what another process ends, and nothing is taken from memory where nobody follows.
func TestPassBookFollows(t *testing.T) {
	r := newRig(t)
	b, other := r.book(devpi), r.book(devpi, func(c *broker.PassConfig) { c.Store = r.open() })
	follows(t, b)
	var made []broker.Minted
	for range 3 {
		made = append(made, r.token(b, "jo", pass.Limits{}))
	}
	r.eventually("it is in memory", func() bool { return use(b, parsed(t, made[0].Text), upload) == nil })
	if ok, _, err := other.End(t.Context(), "jo", made[0].Row.ID, "", store.Event{}); !ok || err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	for use(b, parsed(t, made[0].Text), upload) == nil {
		if time.Since(ended) > 2*time.Second {
			t.Fatal("two seconds after its end in another process it is good")
		}
		time.Sleep(10 * time.Millisecond)
	}
	narrow, err := parsed(t, made[1].Text).Narrow("allowed=upload")
	if err != nil {
		t.Fatal(err)
	}
	if err := use(b, narrow, upload); err != nil {
		t.Fatal(err)
	}
	if _, err := other.EndShown(t.Context(), narrow, store.Event{}); err != nil {
		t.Fatal(err)
	}
	r.eventually("a derived one is ended", func() bool { return code(use(b, narrow, upload)) == "DP-160" })
	if err := use(b, parsed(t, made[1].Text), upload); err != nil {
		t.Errorf("its parent: %v", err)
	}
	if err := use(b, parsed(t, made[2].Text), upload); err != nil {
		t.Error(err)
	}
	if _, _, err := b.End(t.Context(), "jo", made[2].Row.ID, "", store.Event{}); err != nil {
		t.Fatal(err)
	}
	if err := use(b, parsed(t, made[2].Text), upload); code(err) != "DP-160" {
		t.Errorf("ended here, and good here: %v", err)
	}
	short := r.token(b, "jo", pass.Limits{Expires: r.now().Add(time.Minute)})
	if err := use(b, parsed(t, short.Text), upload); err != nil {
		t.Error(err)
	}
	r.later(61 * time.Second)
	if err := use(b, parsed(t, short.Text), upload); code(err) != "DP-160" {
		t.Errorf("over: %v", err)
	}
}

// TestPassBookWithoutStore: where the store cannot be asked, nothing is good for
// longer than a moment.
func TestPassBookWithoutStore(t *testing.T) {
	r := newRig(t)
	b := r.book(devpi)
	follows(t, b)
	m := r.token(b, "jo", pass.Limits{})
	if err := use(b, parsed(t, m.Text), upload); err != nil {
		t.Fatal(err)
	}
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the store is missed", func() bool { return code(use(b, parsed(t, m.Text), upload)) == "DP-813" })
	if _, err := b.Mint(t.Context(), broker.NewPass{User: "jo", Limits: pass.Limits{Expires: daypass.Forever}}); code(err) != "DP-813" {
		t.Errorf("made: %v", err)
	}
	if _, _, err := b.End(t.Context(), "jo", m.Row.ID, "", store.Event{}); code(err) != "DP-813" {
		t.Errorf("ended: %v", err)
	}
}

// TestTouches: uses are written down, also at the very end.
func TestTouches(t *testing.T) {
	r := newRig(t)
	b := r.book(devpi)
	m := r.token(b, "jo", pass.Limits{})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	for range 5 {
		if err := use(b, parsed(t, m.Text), upload); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := b.List(t.Context(), store.PassFilter{}); err != nil || len(list) != 1 || list[0].Uses != 5 {
		t.Errorf("%+v, %v", list, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	row, err := r.db.Pass(t.Context(), "index:devpi", "jo", m.Row.ID)
	if err != nil || row.Uses != 5 || row.Used.IsZero() {
		t.Errorf("%+v, %v", row, err)
	}
}

// TestImport: a token that a devpi server's own plugin made goes on working here,
// and nowhere that was not told so.
func TestImport(t *testing.T) {
	r := newRig(t)
	moved := func(c *broker.PassConfig) { c.Plugin = true }
	b, strict := r.book(devpi, moved), r.book(devpi)
	root := []byte("0123456789abcdef")
	caveats := []string{"allowed=upload", "expires=" + itoa(r.now().Add(time.Hour).Unix())}
	text := func(root []byte, id string, caveats ...string) pass.Pass {
		p, err := pass.Mint(pass.NewKey(root), pass.Identity{Realm: pass.Realm{Kind: pass.Plugin}, User: "jo", ID: id}, caveats...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := text(root, "Abcd2345", caveats...)
	if err := use(b, p, upload); code(err) != "DP-160" {
		t.Errorf("before: %v", err)
	}
	if err := b.Import(t.Context(), "jo", "Abcd2345", time.Time{}, root, caveats); err != nil {
		t.Fatal(err)
	}
	if err := b.Import(t.Context(), "jo", "Abcd2345", time.Time{}, root, caveats); !errors.Is(err, store.ErrTaken) {
		t.Errorf("twice: %v", err)
	}
	if string(root) != "0123456789abcdef" {
		t.Error("the key was changed on the way")
	}
	if err := use(b, p, upload); err != nil {
		t.Error(err)
	}
	if err := use(strict, p, upload); code(err) != "DP-160" {
		t.Errorf("in a gateway that takes none: %v", err)
	}
	if err := use(b, text([]byte("another key, yes"), "Abcd2345", caveats...), upload); code(err) != "DP-160" {
		t.Errorf("forged: %v", err)
	}
	own := r.token(b, "jo", pass.Limits{})
	list, err := b.List(t.Context(), store.PassFilter{User: "jo"})
	if err != nil || len(list) != 2 || !slices.ContainsFunc(list, func(p store.Pass) bool { return p.Realm == "plugin:devpi" && p.Uses == 1 && p.Via == "import" }) {
		t.Errorf("%+v, %v", list, err)
	}
	if ok, _, err := b.End(t.Context(), "jo", "Abcd2345", "", store.Event{}); !ok || err != nil {
		t.Fatal(err)
	}
	if err := use(b, p, upload); code(err) != "DP-160" {
		t.Errorf("ended: %v", err)
	}
	if err := use(b, parsed(t, own.Text), upload); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"over":         b.Import(t.Context(), "jo", "Abcd2346", time.Time{}, root, []string{"expires=1"}),
		"no id":        b.Import(t.Context(), "jo", "x", time.Time{}, root, nil),
		"not asked to": strict.Import(t.Context(), "jo", "Abcd2347", time.Time{}, root, nil),
	} {
		if err == nil {
			t.Errorf("%s was taken over", what)
		}
	}
	if err := b.Import(t.Context(), "jo", "Abcd2348", time.Time{}, root, nil); err != nil {
		t.Errorf("one without an end: %v", err)
	}
	if err := use(b, text(root, "Abcd2348"), upload); err != nil {
		t.Error(err)
	}
}

// TestNoRandomness: without it no pass is made.
func TestNoRandomness(t *testing.T) {
	r := newRig(t)
	for n := range 60 {
		b := r.book(devpi, func(c *broker.PassConfig) { c.Rand = io.LimitReader(endless{}, int64(n)) })
		if _, err := b.Mint(t.Context(), broker.NewPass{User: "jo", Limits: pass.Limits{Expires: daypass.Forever}}); err == nil {
			t.Fatalf("made with %d bytes of randomness", n)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

// BenchmarkOpen: one pass again and again, and ten thousand in turn; each from its
// text to its verdict.
func BenchmarkOpen(b *testing.B) {
	r := newRig(b)
	book := r.book(devpi)
	follows(b, book)
	var texts []daypass.Secret
	limits := pass.Limits{Allowed: []string{"upload"}, Indexes: []string{"jo/dev"}, Projects: []string{"maps"}, Expires: r.now().Add(time.Hour), NotBefore: r.now().Add(-time.Hour)}
	for range 10_000 {
		m, err := book.Mint(context.Background(), broker.NewPass{User: "jo", Limits: limits})
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, m.Text)
	}
	run := func(b *testing.B, texts []daypass.Secret) {
		for _, text := range texts {
			if err := use(book, parsed(b, text), upload); err != nil {
				b.Fatal(err)
			}
		}
		var took []time.Duration
		for i := 0; b.Loop(); i++ {
			start := time.Now()
			if err := use(book, parsed(b, texts[i%len(texts)]), upload); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	}
	b.Run("one", func(b *testing.B) { run(b, texts[:1]) })
	b.Run("10000", func(b *testing.B) { run(b, texts) })
	b.Run("one-again", func(b *testing.B) { run(b, texts[:1]) })
}
