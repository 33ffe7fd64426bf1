// Package browsertest drives Chromium for tests of pages, and asks axe-core about them.
// "make test" installs both (scripts/tools.sh chromium).
package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Open opens a browser; more are further options of its. Without one the test is left
// out, but where all of them are asked for.
func Open(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatal("no chromium: scripts/tools.sh chromium installs it")
		}
		t.Skip("no chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("lang", "en-GB"), chromedp.Flag("force-color-profile", "srgb"), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(opts, more...)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	Do(ctx, t, chromedp.Navigate("about:blank")) // the context of the first call is the browser's life
	return ctx
}

// An Action is something that a browser does.
type Action = chromedp.Action[chromedp.Void]

// Do does some things, one after the other.
func Do(ctx context.Context, t *testing.T, actions ...Action) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// Follow opens an address whose page may go on by itself before it has loaded: what the
// browser says of that, an aborted load, is no failure.
func Follow(address string) Action {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		err := chromedp.Do(ctx, chromedp.Navigate(address))
		if load := (*chromedp.LoadError)(nil); errors.As(err, &load) && load.ErrorText == "net::ERR_ABORTED" {
			return nil
		}
		return err
	})
}

// Get asks the page for something.
func Get[T any](ctx context.Context, t *testing.T, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Script runs in the page, as if a person had pressed something, and waits for
// what it promises.
func Script[T any](ctx context.Context, t *testing.T, text string) T {
	t.Helper()
	yes := true
	return Get(ctx, t, chromedp.Evaluate[T](text, chromedp.EvalAwaitPromise, func(p *runtime.EvaluateParams) { p.UserGesture = &yes }))
}

// Look sets the width of the window, and light or dark; nothing moves.
func Look(width int64, dark bool) Action {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Steps(chromedp.EmulateViewport(width, 800), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// Complaints collects what the browser writes to its console: refusals by the
// content policy, above all.
func Complaints(ctx context.Context) func() []string {
	var mu sync.Mutex
	var found []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			found = append(found, string(m.Type)+" "+m.Text+" "+m.URL)
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(found)
	}
}

// Axe is the script of axe-core.
func Axe(t *testing.T) string {
	t.Helper()
	path := os.Getenv("DAYPASS_TEST_AXE")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(cache, "daypass-test", "axe", "axe.min.js")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatal("no axe-core: scripts/tools.sh chromium fetches it")
		}
		t.Skip("no axe-core")
	}
	return string(b)
}

// Judge asks axe-core about the page that is open.
func Judge(ctx context.Context, t *testing.T, name, axe string) {
	t.Helper()
	Script[int](ctx, t, axe+"; 0")
	found := Script[string](ctx, t,
		`axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html.slice(0, 160) + " " + n.failureSummary).join(" | "))))`)
	var list []string
	if err := json.Unmarshal([]byte(found), &list); err != nil {
		t.Fatalf("%s: %v: %s", name, err, found)
	}
	for _, v := range list {
		t.Errorf("%s: %s", name, v)
	}
}

// Picture writes what the whole page looks like, with few colours so that it
// stays small.
func Picture(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	raw := Get(ctx, t, chromedp.FullScreenshot(100))
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, fewColours(img, 160)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func fewColours(img image.Image, n int) image.Image {
	count := map[color.RGBA]int{}
	b := img.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	var all []color.RGBA
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return int(a.R) + int(a.G)<<8 + int(a.B)<<16 - int(b.R) - int(b.G)<<8 - int(b.B)<<16
	})
	var p color.Palette
	for _, c := range all[:min(n, len(all))] {
		p = append(p, c)
	}
	nearest := map[color.RGBA]uint8{}
	out := image.NewPaletted(b, p)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			i, ok := nearest[c]
			if !ok {
				i = uint8(p.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}
