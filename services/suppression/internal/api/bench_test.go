package api_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

func BenchmarkCheck(b *testing.B) {
	f := newFixture(b)
	for i := range 1000 {
		f.put(object{"address": fmt.Sprintf("user.%d@mail%d.example", i, i%97), "reason": "hard_bounce"})
	}
	for _, bm := range []struct {
		name          string
		batch, listed int
	}{{"one", 1, 0}, {"bulk=1000/listed=5", 1000, 50}, {"bulk=1000/listed=100", 1000, 1000}} {
		parts := make([]string, bm.batch)
		for i := range parts {
			n := i
			if i >= bm.listed {
				n += 1000
			}
			parts[i] = fmt.Sprintf(`"user.%d@mail%d.example"`, n, n%97)
		}
		body := `{"stream":"marketing","addresses":[` + strings.Join(parts, ",") + `]}`
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/v1/suppressions/check", strings.NewReader(body))
				w := httptest.NewRecorder()
				f.api.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
