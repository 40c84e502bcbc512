package controls

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// BenchmarkHides compares one alert with as many silences and windows as there may
// be, which is done for each alert that fires, once a second.
func BenchmarkHides(b *testing.B) {
	var windows []Window
	for i := range 50 {
		windows = append(windows, Window{
			Name: fmt.Sprint("w", i), Start: "0 2 29 2 *", Duration: time.Hour, Zone: "Europe/Berlin", Matchers: []Matcher{{Label: "source", Op: "=", Value: "acme"}},
		})
	}
	s := NewSet(windows)
	for i := range 500 {
		id := fmt.Sprint("sil-", i)
		s.silences[id] = silence{
			schemas.AlertSilence{ID: id, Since: noon, Until: noon.Add(time.Hour)},
			Matchers{{label: "source", value: "acme"}, {label: "recipient_domain", value: fmt.Sprintf("d%d.test", i)}},
		}
	}
	a := alert()
	for b.Loop() {
		if got := s.Hides(a, noon); len(got) != 0 {
			b.Fatal(got)
		}
	}
}
