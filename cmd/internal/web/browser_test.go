// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"ethertap/cmd/internal/reading"
	"ethertap/dataplane"
	"ethertap/tests/need"
)

// screenshots is the environment variable that names a directory for pictures of the page.
const screenshots = "ETHERTAP_SCREENSHOTS"

// browse opens a page of an origin in Debian's Chromium. complaints returns what the browser has complained about, and
// what it has loaded from elsewhere.
func browse(t *testing.T, origin, path string) (ctx context.Context, complaints func() []string) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(need.Tool(t, "chromium")), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var all []string
	ctx, cancel = chromedp.NewContext(allocator, chromedp.WithListener(func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			all = append(all, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		case *runtime.EventExceptionThrown:
			all = append(all, "exception: "+e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			all = append(all, fmt.Sprintf("console.%s", e.Type))
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, origin+"/") {
				all = append(all, "loads "+e.Request.URL)
			}
		}
	}))
	t.Cleanup(cancel)
	late := time.AfterFunc(3*patience, cancel)
	t.Cleanup(func() { late.Stop() })
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(origin+path)); err != nil {
		t.Fatal(err)
	}
	return ctx, func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), all...) }
}

// counters returns all counters that the page in a browser shows.
func counters(t *testing.T, ctx context.Context) map[string]string {
	t.Helper()
	all, err := chromedp.Run(ctx, chromedp.Evaluate[map[string]string](`Object.fromEntries([...document.querySelectorAll("[data-counter]")].map(e => [e.dataset.counter, e.value]))`))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// In a browser the page follows the tap without a complaint, and shows the figures of the last reading.
func TestPageInBrowser(t *testing.T) {
	var second atomic.Int64
	var frozen atomic.Bool
	address := serve(t, Options{Instance: "ethertap", Source: reading.NewSource(func(bool) *reading.Reading {
		if frozen.Load() {
			return tap(int(second.Load()))
		}
		return tap(int(second.Add(1)))
	}, 0)})
	ctx, complaints := browse(t, "http://"+address, "/")
	until := func(what, condition string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(patience))); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	until("the plots grow", `document.querySelector("svg path.l0").getAttribute("d").split("L").length > 3`)
	frozen.Store(true)
	at := int(second.Load())
	now := tap(at)
	until("the last reading is shown", fmt.Sprintf(`document.querySelector("[data-counter='0.tx']").value === "%d"`, now.Ports[0].Stats.TX))
	shown := counters(t, ctx)
	if len(shown) < 20 {
		t.Errorf("the page shows %v", shown)
	}
	for key, value := range shown {
		port, name, _ := strings.Cut(key, ".")
		i, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		for c := range dataplane.Counters {
			if c := &dataplane.Counters[c]; c.Key == name && value != fmt.Sprint(c.Of(&now.Ports[i].Stats)) {
				t.Errorf("%s is %s, want %d", key, value, c.Of(&now.Ports[i].Stats))
			}
		}
	}
	// No table or plot makes a phone's page wider than the phone.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844)); err != nil {
		t.Fatal(err)
	}
	if width, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); err != nil || width > 390 {
		t.Errorf("on a phone the page is %d wide: %v", width, err)
	}
	if dir := os.Getenv(screenshots); dir != "" {
		takePictures(t, ctx, dir)
	}
	if all := complaints(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// takePictures takes one at each of two sizes in each of two themes.
func takePictures(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	for name, width := range map[string]int64{"wide": 1280, "phone": 390} {
		for _, theme := range []string{"light", "dark"} {
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 800)); err != nil {
				t.Fatal(err)
			}
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name+"-"+theme+".png"), png, 0o644)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// Without a script the page reloads and shows the same.
func TestPageWithoutScript(t *testing.T) {
	var second atomic.Int64
	address := serve(t, Options{Instance: "ethertap", Source: reading.NewSource(func(bool) *reading.Reading { return tap(int(second.Add(1))) }, 0)})
	ctx, complaints := browse(t, "http://"+address, "/icon.svg")
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+address+"/")); err != nil {
		t.Fatal(err)
	}
	before := ""
	for deadline := time.Now().Add(patience); ; {
		found, err := chromedp.Run(ctx, chromedp.AttributeValue(chromedp.CSS(`[data-counter="0.tx"]`), "value"))
		if err != nil {
			t.Fatal(err)
		}
		after := found.Value
		if before == "" {
			before = after
		}
		if after != before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the page does not reload")
		}
	}
	if all := complaints(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}
