package httppost

import (
	"net/http"
	"testing"
	"time"
)

func FuzzRetryAfter(f *testing.F) {
	for _, header := range []string{"", "0", "1", "1.5", "-1", "NaN", "Inf", "-Inf", "1e400", "0x10", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 9999 07:28:00 GMT", "soon"} {
		f.Add(header, 0.0)
		f.Add(header, 1e300)
	}
	f.Fuzz(func(t *testing.T, header string, field float64) {
		if d := RetryAfter(header, field); d < 0 || d > retryAfterMax {
			t.Errorf("%q, %v: %s", header, field, d)
		}
		wait := http.TimeFormat
		if d := RetryAfter(time.Now().Add(time.Hour).UTC().Format(wait), field); d != retryAfterMax {
			t.Errorf("an hour is cut to %s", d)
		}
	})
}
