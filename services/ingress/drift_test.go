package ingress

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mailstream/mailstream/services/internal/provider"
)

// A sender who makes up names gets no more series than the limit, and takes none from
// another provider.
func TestDrifts_HaveALimit(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	q := newDrifts(m)
	at := time.Unix(1_767_225_600, 0)
	for range 2 {
		for i := range 2 * driftPathsMax {
			q.note(drifted{"mailjet", provider.UnknownField, fmt.Sprintf("data.f%d", i)}, at)
			at = at.Add(time.Second)
		}
	}
	if n, first := testutil.CollectAndCount(m.driftPaths), testutil.CollectAndCount(m.driftFirst); n != driftPathsMax || first != driftPathsMax {
		t.Errorf("%d and %d series, want %d", n, first, driftPathsMax)
	}
	labels := []string{"mailjet", "unknown_field", "data.f0"}
	if n, first := testutil.ToFloat64(m.driftPaths.WithLabelValues(labels...)), testutil.ToFloat64(m.driftFirst.WithLabelValues(labels...)); n != 2 || first != 1_767_225_600 {
		t.Errorf("seen %v times, first %v", n, first)
	}
	if !q.note(drifted{"resend", provider.UnknownEvent, "email.new"}, at) {
		t.Error("one provider takes the paths of another")
	}
}

func TestHarmless_ShowsNamesAlone(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"data.bounce.sub_type": "data.bounce.sub_type", "subscription.newTopicPreferences.topicSubscriptionStatus[].subscriptionStatus": "subscription.newTopicPreferences.topicSubscriptionStatus[].subscriptionStatus", "contact[fields][x-1]": "contact[fields][x-1]",
		"ana@example.com": unprintable, "a b": unprintable, "": unprintable, "ä": unprintable, "a\nb": unprintable, string(make([]byte, driftPathBytesMax+1)): unprintable,
	} {
		if got := harmless(path); got != want {
			t.Errorf("harmless(%q) = %q, want %q", path, got, want)
		}
	}
}
