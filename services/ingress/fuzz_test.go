package ingress

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// FuzzServe sends any bytes under any encoding along the whole path. Whatever
// comes, the answer is one of the documented ones, nothing stays in flight, and
// every item is accounted for.
func FuzzServe(f *testing.F) {
	for _, body := range golden(f) {
		f.Add(body, "", "")
	}
	f.Add(zipped(f, bounceItem), "gzip", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add(zipped(f, strings.Repeat("[", 100_000)), "gzip", "")
	f.Add(bounceItem, "br", "x")
	s, err := New(testConfig(), testShared(f, kafka.Default()))
	if err != nil {
		f.Fatal(err)
	}
	s.producer = acknowledging{}
	getReady(f, s)
	documented := []int{200, 400, 413, 415}
	f.Fuzz(func(t *testing.T, body, encoding, traceparent string) {
		r := httptest.NewRequest(http.MethodPost, Prefix+testSource, strings.NewReader(body))
		r.SetBasicAuth(testUser, testPassword)
		r.Header["Content-Encoding"] = []string{encoding}
		r.Header["Traceparent"] = []string{traceparent}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !slices.Contains(documented, w.Code) {
			t.Errorf("status %d", w.Code)
		}
		var answer struct {
			Accepted     int `json:"accepted"`
			DeadLettered int `json:"dead_lettered"`
			Status       int `json:"status"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Errorf("answer %q: %v", w.Body, err)
		}
		if w.Code != 200 && answer.Status != w.Code {
			t.Errorf("the problem says %d, the answer %d", answer.Status, w.Code)
		}
		if all, _ := s.room.Held(); all != (room.Amount{}) {
			t.Errorf("%+v in flight", all)
		}
	})
}

func TestValidTraceparent_TakesOnlyItsOwnForm(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for i, tt := range []struct {
		in   string
		want bool
	}{
		{good, true}, {"", false}, {good + "0", false}, {strings.ToUpper(good), false}, {strings.Replace(good, "-", "_", 1), false},
		{strings.Repeat("-", len(good)), false}, {good[:54] + "\n", false}, {good[:54] + "\xff", false},
	} {
		want := ""
		if tt.want {
			want = tt.in
		}
		if got := validTraceparent(tt.in); got != want {
			t.Error(fmt.Sprint(i), got)
		}
	}
}
