package drift

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// A sender who makes up names gets no more series than the limit, and takes none from
// another provider.
func TestNote_HasALimit(t *testing.T) {
	t.Parallel()
	b := book(t, kafka.Default())
	at := day(1)
	for range 2 {
		for i := range 2 * PathsMax {
			meet(b, fmt.Sprintf("data.f%d", i), at)
			at = at.AddDate(0, 0, 1)
		}
	}
	if n, first := testutil.CollectAndCount(b.opt.Paths), testutil.CollectAndCount(b.opt.First); n != PathsMax || first != PathsMax {
		t.Errorf("%d and %d series, want %d", n, first, PathsMax)
	}
	if n := testutil.ToFloat64(b.opt.Paths.WithLabelValues("mailjet", "unknown_field", "data.f0")); n != 2 || b.since("data.f0") != day(1) {
		t.Errorf("seen %v times, first %s", n, b.since("data.f0"))
	}
	if !b.Note("resend", provider.UnknownEvent, "email.new", at) {
		t.Error("one provider takes the paths of another")
	}
}

func TestHarmless_ShowsNamesAlone(t *testing.T) {
	t.Parallel()
	const longest = "subscription.newTopicPreferences.topicSubscriptionStatus[].subscriptionStatus"
	for path, want := range map[string]string{
		"data.bounce.sub_type": "data.bounce.sub_type", "contact[fields][x-1]": "contact[fields][x-1]", longest: longest,
		"ana@example.com": unprintable, "a b": unprintable, "": unprintable, "ä": unprintable, "a\nb": unprintable, string(make([]byte, pathBytesMax+1)): unprintable,
	} {
		if got := Harmless(path); got != want {
			t.Errorf("Harmless(%q) = %q, want %q", path, got, want)
		}
	}
}
