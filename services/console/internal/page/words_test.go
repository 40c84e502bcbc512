package page

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
)

func TestReply_HasEachCodeOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code           uint16
		enhanced, text string
		want           string
	}{
		{550, "5.1.1", "550 5.1.1 no such user", "550 5.1.1 no such user"},
		{550, "5.1.1", "no such user", "550 5.1.1 no such user"},
		{550, "", "550-5.1.1 no such user", "550-5.1.1 no such user"},
		{451, "4.7.1", "451 try again", "451 4.7.1 try again"},
		{550, "5.1.1", "smtp;550 unknown", "smtp;550 5.1.1 unknown"},
		{550, "5.1.1", "smtp;550 5.1.1 unknown", "smtp;550 5.1.1 unknown"},
		{250, "", "", "250"},
		{0, "", "", ""},
	} {
		if got := reply(tc.code, tc.enhanced, tc.text); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// TestAnswered_KeepsTheCodesInFront takes replies apart, so that a text from right to left
// does not turn the codes round.
func TestAnswered_KeepsTheCodesInFront(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]serverReply{
		"550 5.1.1 no such user": {"550 5.1.1", "no such user"}, "550-5.1.1 no": {"550-5.1.1", "no"}, "451 תיבה מלאה": {"451", "תיבה מלאה"}, "4.2.2 full": {"4.2.2", "full"},
		"250": {"250", ""}, "5501 people": {"", "5501 people"}, "smtp;550 5.1.1 x": {"", "smtp;550 5.1.1 x"}, "": {},
	} {
		if got := answered(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// FuzzAnswered has no reply lose a word, and codes be digits only.
func FuzzAnswered(f *testing.F) {
	f.Add("550 5.1.1 no such user")
	f.Add("451-4.7.1\u202e 12")
	f.Fuzz(func(t *testing.T, text string) {
		r := answered(text)
		if got, want := strings.Join(strings.Fields(strings.ReplaceAll(r.Codes+" "+r.Text, "-", " ")), " "), strings.Join(strings.Fields(strings.ReplaceAll(text, "-", " ")), " "); got != want {
			t.Errorf("%q became %q", want, got)
		}
		if strings.Trim(r.Codes, "0123456789. -") != "" {
			t.Errorf("%q has the codes %q", text, r.Codes)
		}
	})
}

// TestWhen_IsAMomentOfHTML has no more digits of a second than the element time takes.
func TestWhen_IsAMomentOfHTML(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 1, 987_654_321, time.UTC)
	if got := string(when(at)); !strings.Contains(got, `datetime="2026-03-04T09:00:01.987Z"`) {
		t.Errorf("%s", got)
	}
}

func TestLabels_IsolateTheirValues(t *testing.T) {
	t.Parallel()
	if got := isolated(map[string]string{"campaign": "<b>תזכורת", "source": "shop"}); got != "campaign <bdi>&lt;b&gt;תזכורת</bdi>, source <bdi>shop</bdi>" {
		t.Errorf("%s", got)
	}
	if got := isolated(nil); got != "all mail" {
		t.Errorf("%s", got)
	}
}

// TestAge_IsOnThePagesWhoseNumbersAreOld opens the pages of counts as they are filled from
// answers of a moment ago, and of now.
func TestAge_IsOnThePagesWhoseNumbersAreOld(t *testing.T) {
	t.Parallel()
	pages, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]any{"overview": overviewData{}, "source": sourceData{}, "deliverability": deliverabilityData{}} {
		for _, old := range []*age{nil, {time.Date(2026, 3, 4, 8, 59, 18, 0, time.UTC), 42}} {
			var out bytes.Buffer
			if err := pages[name].ExecuteTemplate(&out, "base", frame{AsOf: old, Data: data}); err != nil {
				t.Fatal(err)
			}
			if says := strings.Contains(out.String(), "42 s ago"); says != (old != nil) {
				t.Errorf("%s says so: %t, of numbers %v", name, says, old)
			}
		}
	}
}

// TestPerson_TellsNoFromUnknown has an event that says no, one that says yes and one that
// says nothing.
func TestPerson_TellsNoFromUnknown(t *testing.T) {
	t.Parallel()
	pages, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for _, tc := range []struct {
		said       *bool
		want, lack []string
	}{
		{&yes, []string{">machine<", "· permanent"}, []string{">person<", "may pass"}},
		{&no, []string{">person<", "· may pass"}, []string{">machine<", "· permanent"}},
		{nil, nil, []string{">machine<", ">person<", "· permanent", "may pass"}},
	} {
		var out bytes.Buffer
		d := personData{Known: true, Events: []history.Event{{Type: "opened", Reason: "greylisted", Machine: tc.said, Permanent: tc.said}}}
		if err := pages["person"].ExecuteTemplate(&out, "base", frame{Data: d, User: auth.User{Role: auth.Admin}}); err != nil {
			t.Fatal(err)
		}
		for _, text := range tc.want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("no %q", text)
			}
		}
		for _, text := range tc.lack {
			if strings.Contains(out.String(), text) {
				t.Errorf("%q is there", text)
			}
		}
	}
}

// TestOverview_SaysWhatWaitsInKafka has a lag, none, and one that is not known.
func TestOverview_SaysWhatWaitsInKafka(t *testing.T) {
	t.Parallel()
	pages, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	many, none, one := int64(1_234_567), int64(0), int64(1)
	for want, waiting := range map[string]*int64{"<dd>1,234,567 <small>records not stored yet": &many, "<dd>0 <small>records not stored yet": &none, "<dd>1 <small>record not stored yet": &one, "<dt>Kafka lag</dt><dd>unknown": nil} {
		d := overviewData{Waiting: waiting}
		d.judge(false)
		var out bytes.Buffer
		if err := pages["overview"].ExecuteTemplate(&out, "base", frame{Data: d, User: auth.User{Role: auth.Admin}}); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); !strings.Contains(text, want) || strings.Contains(text, "wait in Kafka to be stored") != (waiting == &many) {
			t.Errorf("no %q in %s", want, text[strings.Index(text, "<main"):])
		}
	}
}

// TestDone_IsSaidByTheFormAlone opens a page as a form leads to it, and as a link of
// elsewhere would.
func TestDone_IsSaidByTheFormAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for site, said := range map[string]bool{"same-origin": true, "": true, "none": false, "cross-site": false, "same-site": false} {
		r := httptest.NewRequest(http.MethodGet, "/suppressions?done=lifted", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		w := d.ask(r, "operator")
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "The suppression was lifted.") != said {
			t.Errorf("from %q: %d, and says it was done: %t", site, w.Code, !said)
		}
	}
}

// TestShare_HidesNeitherSomeNorAll has the rates that one digit would round to none, to all,
// or to a threshold.
func TestShare_HidesNeitherSomeNorAll(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0.0 %", 1: "100.0 %", .5: "50.0 %", .01: "1.0 %", .99: "99.0 %", 7.5: "750.0 %", -.25: "-25.0 %",
		.001: "0.10 %", .0014: "0.14 %", .0004: "0.04 %", .00004: "< 0.01 %", .9996: "99.96 %", .99996: "> 99.99 %",
	} {
		if got := strings.ReplaceAll(share(v), "\u00a0", " "); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
