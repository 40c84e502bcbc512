package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestStatic_IsPackedAndKept asks for each embedded file, and for it once more.
func TestStatic_IsPackedAndKept(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, name := range []string{"console.css", "console.js", "htmx.js", "uplot.js"} {
		r := httptest.NewRequest(http.MethodGet, "/static/"+name, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := d.ask(r, "")
		plain, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, plain) {
			t.Errorf("%s is not what is embedded: %v", name, err)
		}
		h := w.Header()
		if h.Get("Content-Encoding") != "gzip" || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Accept-Encoding") || h.Get("ETag") == "" || !strings.Contains(h.Get("Cache-Control"), "max-age") {
			t.Errorf("%s is sent with %v", name, h)
		}
		again := httptest.NewRequest(http.MethodGet, "/static/"+name, nil)
		again.Header.Set("If-None-Match", h.Get("ETag"))
		if w := d.ask(again, ""); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("%s asked for once more: %d", name, w.Code)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/login", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	if w := d.ask(r, ""); w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("a page is sent with %v", w.Header())
	}
}

const scriptBytesMax = 40_000 // as they are sent, so that a slow line has a page at once

// TestStatic_ScriptsAreSmall holds all of JavaScript to its budget.
func TestStatic_ScriptsAreSmall(t *testing.T) {
	t.Parallel()
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range entries {
		if path.Ext(e.Name()) != ".js" {
			continue
		}
		text, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		total += packed.Len()
	}
	if total > scriptBytesMax || total == 0 {
		t.Errorf("JavaScript is %d bytes packed, want at most %d", total, scriptBytesMax)
	}
}

// TestTemplates_HaveNoScriptOrStyleOfTheirOwn is what lets the policy forbid them. A
// filter of a trigger is a script, too.
func TestTemplates_HaveNoScriptOrStyleOfTheirOwn(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile(`hx-trigger="[^"]*\[|hx-on|<style|\sstyle=|\son[a-z]+=|<script>|javascript:`)
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := templateFiles.ReadFile("templates/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if found := inline.FindString(string(text)); found != "" {
			t.Errorf("%s has %q", e.Name(), found)
		}
	}
}
