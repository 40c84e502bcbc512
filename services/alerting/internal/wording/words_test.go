package wording

import (
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{percent(0.604), "60.4 %"}, {percent(1), "100 %"}, {percent(0.6000001), "60 %"}, {percent(0.9996), "over 99.9 %"}, {percent(0.0001), "under 0.1 %"}, {percent(0), "0 %"},
		{against(0.6001, 0.6), "just over 60 % (threshold 60 %)"}, {against(0.78, 0.6), "78 % (threshold 60 %)"},
		{rate(schemas.AlertCounts{}), "no traffic"}, {plural(1, "message"), "1 message"}, {plural(2, "message"), "2 messages"},
		{span(0), "0 s"}, {span(90 * time.Second), "1 min 30 s"}, {span(2 * time.Hour), "2 h"}, {span(-time.Second), "0 s"}, {span(26*time.Hour + 5*time.Minute), "26 h 5 min"},
		{percent(2.0 / 3), "66.7 %"},
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(1234567), "1,234,567"}, {number(-1234), "-1,234"},
		{window("24h0m0s"), "24 hours"}, {window("168h0m0s"), "7 days"}, {window("1h0m0s"), "60 minutes"},
		{window("15m0s"), "15 minutes"}, {window("1m0s"), "1 minute"}, {window("90s"), "90s"}, {window("<"), "<"},
		{Cut("héllo", 3), "hé…"}, {Cut("abc", 3), "abc"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
