package page

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// awkward are names that a path does not take as they are, or that are near to what is written
// in their place.
func awkward() []string {
	return []string{
		"1", ".", "..", "...", "~", "~.", "~..", "~~.", "~...", "%2E", "%2e%2e", ".%2e", "a/b", "/", "//", "a//b", "../..", "/..", "./", "a/../b", `\`, `..\..`, "a%2Fb", "%", "%zz", "?", "a?b=c", "#", "a#b", " ", "a b", "+", "a+b", ";a,b", ":", "http://x.test/",
		"<id@mail.example>", `"><script>alert(1)</script>`, "'", "&amp;", "a\x00b", "a\r\nb", "\t", "日本語", "e\u0301", "\u202eb", "👩‍👩‍👧", "{id}", "$", strings.Repeat("x", 1000), strings.Repeat("語", 1000),
	}
}

// browse is the path that a browser, and a proxy that is careful, asks for where a page has a
// link: dot segments are gone, escaped or not (RFC 3986, 5.2.4, and the URL standard).
func browse(link string) string {
	path, rest := link, ""
	if i := strings.IndexAny(link, "?#"); i >= 0 {
		path, rest = link[:i], link[i:]
	}
	path = strings.ReplaceAll(path, `\`, "/")
	var kept []string
	for part := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(part), "%2e", ".") {
		case ".":
		case "..":
			kept = kept[:max(1, len(kept)-1)]
		default:
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "/") + rest
}

// TestNames_HaveAnAddress has each name be the part of a path, through the mux of the pages as a
// browser asks for it, and none the name of another.
func TestNames_HaveAnAddress(t *testing.T) {
	t.Parallel()
	got, seen := "", map[string]string{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /messages/{source}/{id}", func(_ http.ResponseWriter, r *http.Request) {
		got = (&visit{Request: r}).named("source") + "|" + (&visit{Request: r}).named("id")
	})
	for _, id := range awkward() {
		for _, source := range []string{"shop", id} {
			link := messagePath(source, id)
			r := httptest.NewRequest(http.MethodGet, browse(link), nil)
			w := httptest.NewRecorder()
			got = ""
			if mux.ServeHTTP(w, r); got != source+"|"+id {
				t.Errorf("%.40q of %.40q at %.80q is answered %d with %.80q", id, source, link, w.Code, got)
			}
			if other, ok := seen[link]; ok && other != source+"|"+id {
				t.Errorf("%q is the address of %q and %q", link, other, source+"|"+id)
			}
			seen[link] = source + "|" + id
		}
	}
	for _, id := range []string{"", strings.Repeat("x", idBytesMax+1)} {
		if link := messagePath("shop", id); link != "" {
			t.Errorf("an id of %d bytes has the address %.80q", len(id), link)
		}
	}
}

// TestNames_OfServicesAreNotWaysElsewhere has the services be asked for the name alone.
func TestNames_OfServicesAreNotWaysElsewhere(t *testing.T) {
	t.Parallel()
	for _, id := range awkward() {
		d := newDesk(t)
		d.ask(form("/incidents/"+segment(id)+"/ack", "note", "x"), "operator")
		if len(d.calls) == 0 || d.calls[0] != "POST /v1/incidents/"+id+"/ack" {
			t.Errorf("%.40q asks %q", id, d.calls)
		}
	}
}

// TestMessages_AreAskedForByTheirOwnID opens the page of each id as its link leads there: the
// look is noted under it.
func TestMessages_AreAskedForByTheirOwnID(t *testing.T) {
	t.Parallel()
	for _, id := range awkward() {
		d := newDesk(t)
		w := d.ask(httptest.NewRequest(http.MethodGet, browse(messagePath("shop", id)), nil), "admin")
		if w.Code != http.StatusOK || len(d.notes) != 1 || d.notes[0].Object != Redact("shop/"+id) {
			t.Errorf("%.40q: %d, noted %.200v", id, w.Code, d.notes)
		}
	}
	for path, status := range map[string]int{"/messages/shop/": 404, "/messages/shop": 404, "/messages/shop/%ff": 404, "/messages//x": 0, "/messages/shop/" + strings.Repeat("x", idBytesMax+1): 404} {
		w := newDesk(t).ask(httptest.NewRequest(http.MethodGet, path, nil), "admin")
		if status != 0 && (w.Code != status || !strings.Contains(w.Body.String(), "What now?")) || w.Code == http.StatusOK {
			t.Errorf("%.40s: %d", path, w.Code)
		}
	}
}

// TestCampaigns_HaveNoLinkThatIsRefused has the values of a breakdown lead to pages that are.
func TestCampaigns_HaveNoLinkThatIsRefused(t *testing.T) {
	t.Parallel()
	d, linked := newDesk(t), 0
	for _, value := range append(awkward(), strings.Repeat("x", nameBytesMax+1), "ana@list.example", "a\xffb", "") {
		for _, by := range []string{"source", "mailbox_provider", "domain", "campaign", "sending_ip"} {
			page := deliverabilityData{By: by, Show: "blocked", Range: "24h"}
			link := page.Narrow(value)
			if link == "" {
				continue
			}
			linked++
			w := d.ask(httptest.NewRequest(http.MethodGet, browse(link), nil), "viewer")
			u, err := url.Parse(link)
			if err != nil || w.Code != http.StatusOK || u.Query().Get(by) != value {
				t.Errorf("%q by %s leads to %s: %d", value, by, link, w.Code)
			}
		}
	}
	if linked == 0 {
		t.Error("nothing is linked")
	}
}

// TestLinks_OfPagesKeepAName has the templates write the address of a message as it is.
func TestLinks_OfPagesKeepAName(t *testing.T) {
	t.Parallel()
	templates, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{templates: templates, Options: Options{Log: zap.NewNop()}}
	for _, id := range awkward() {
		text, ok := s.fill("search", frame{Data: searchData{Found: []foundMessage{{"shop", id}}}})
		if want := `<a href="` + messagePath("shop", id) + `"><bdi>`; !ok || !strings.Contains(html.UnescapeString(string(text)), want) {
			t.Errorf("%.40q has not the link %.80q", id, want)
		}
	}
}
