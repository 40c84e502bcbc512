package ingress

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/ingress/internal/provider"
)

// TestAnswers_KeepEventsAliveWhereTheProviderWouldDropThem holds the answers
// against what each provider's documentation says of a status.
func TestAnswers_KeepEventsAliveWhereTheProviderWouldDropThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		done  func(status int) bool // does not send again
		final func(status int) bool // drops the events
		want  provider.Answers
	}{
		{"mailgun", is(200), is(406), provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"mailjet", is(200), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"mandrill", is(200), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"sendgrid", class(2), class(3), provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"ses", class(2), class(4), provider.Answers{OK: 200, Unauthenticated: 503, Malformed: 503, TooLarge: 503, Slow: 503, Unavailable: 503}},
		{"sparkpost", is(200), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 422, TooLarge: 413, Slow: 408, Unavailable: 503}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, ok := lookup(tt.name)
			if !ok {
				t.Fatal("is not registered")
			}
			got := e.Answers()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if !tt.done(got.OK) {
				t.Errorf("%d is not done", got.OK)
			}
			for _, status := range []int{got.Unauthenticated, got.Malformed, got.TooLarge, got.Slow, got.Unavailable} {
				if tt.done(status) || tt.final(status) {
					t.Errorf("after %d the events are gone", status)
				}
			}
		})
	}
}

func is(want int) func(int) bool       { return func(status int) bool { return status == want } }
func class(hundred int) func(int) bool { return func(status int) bool { return status/100 == hundred } }
func never(int) bool                   { return false }
