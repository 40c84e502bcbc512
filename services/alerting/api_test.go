package alerting

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
)

func TestAPI_FiltersByWhatItKnowsAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	b := book.New()
	for _, a := range []schemas.Alert{
		{Fingerprint: "1", Version: 1, Rule: "r", State: schemas.AlertFiring, Labels: map[string]string{"source": "acme", "recipient_domain": "a.test"}},
		{Fingerprint: "2", Version: 1, Rule: "s", State: schemas.AlertResolved, Labels: map[string]string{"source": "other", "mailbox_provider": "google"}},
	} {
		rec, err := book.Record("alerts", &a)
		if err != nil {
			t.Fatal(err)
		}
		b.Apply([]*kgo.Record{rec})
	}
	mux := http.NewServeMux()
	api{book: b}.routes(mux)
	for query, want := range map[string]int{
		"": 2, "?state=firing": 1, "?state=firing,resolved": 2, "?rule=s": 1, "?source=acme": 1, "?label.source=other": 1,
		"?label.recipient_domain=a.test": 1, "?label.mailbox_provider=google&state=firing": 0, "?label.recipient_domain=b.test": 0,
		"?unknown=x": -1, "?State=firing": -1, "?label.campaign=x": -1, "?state=firing&state=resolved": -1, "?state=open": -1, "?%zz": -1,
		"?rule": -1, "?state=": -1, "?state=firing,": -1, "?label.recipient_domain=": -1,
		"?source=acme&label.source=other": -1, "?source=acme&label.source=acme": 1,
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/alerts"+query, nil))
		var got answer
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if want < 0 && w.Code != http.StatusBadRequest || want >= 0 && (w.Code != http.StatusOK || got.Total != want) {
			t.Errorf("%q: %d %s, want %d", query, w.Code, w.Body, want)
		}
	}
}
