package alerting

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func TestSlack_PassingFaultsDelayTheMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault func(try int, w http.ResponseWriter) bool
	}{
		{"rate limit", func(try int, w http.ResponseWriter) bool {
			if try > 2 {
				return false
			}
			w.Header().Set("Retry-After", "1")
			http.Error(w, "rate_limited", http.StatusTooManyRequests)
			return true
		}},
		{"server error", func(try int, w http.ResponseWriter) bool {
			if try > 2 {
				return false
			}
			http.Error(w, "internal_error", http.StatusInternalServerError)
			return true
		}},
		{"connection lost", func(try int, _ http.ResponseWriter) bool {
			if try > 1 {
				return false
			}
			panic(http.ErrAbortHandler)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.start()
				r.slack.setFault(tt.fault)
				r.send(blocked(30, "example.com"))
				r.slack.want(t, 1)
				r.slack.wantQuiet(t, 1)
			})
		})
	}
}

func TestSlack_AwayUntilTheIncidentIsOverHearsOfItOnce(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"unavailable": http.StatusServiceUnavailable, "forbidden": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var away atomic.Bool
				away.Store(true)
				r.slack.setFault(func(_ int, w http.ResponseWriter) bool {
					if away.Load() {
						w.WriteHeader(status)
					}
					return away.Load()
				})
				in := r.start()
				r.send(blocked(30, "example.com"))
				waitFor(t, "alert", func() bool { return len(r.alerts(in, "?state=firing")) == 1 })
				r.clock.Advance(time.Minute)
				r.send(delivered(300, "example.com"))
				waitFor(t, "recovery", func() bool { return len(r.alerts(in, "?state=recovering")) == 1 })
				r.clock.Advance(6 * time.Minute)
				waitFor(t, "end", func() bool { return len(r.alerts(in, "?state=resolved")) == 1 })
				in.stop() // what is owed survives us
				away.Store(false)
				in = r.start()
				posts := r.slack.want(t, 1)
				if !strings.Contains(posts[0].text, "back to normal") || !strings.Contains(posts[0].text, "30 of 30 blocked") {
					t.Errorf("posts: %q", texts(posts))
				}
				waitFor(t, "note of both", func() bool {
					n := r.alerts(in, "")[0].Notify
					return len(n) == 2 && !n[0].SentAt.IsZero() && !n[1].SentAt.IsZero()
				})
				r.slack.wantQuiet(t, 1)
			})
		})
	}
}

// TestSlack_ARefusalIsShownAndEndsWithANewWebhook follows an operator: the
// webhook of the configuration is wrong, the API says so, a restart with the
// right one tells what is owed, and its end.
func TestSlack_ARefusalIsShownAndEndsWithANewWebhook(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		answer string
	}{
		{"gone", http.StatusNotFound, "no_service", "no_service"},
		{"forbidden", http.StatusForbidden, "", "status_403"},
		{"redirect", http.StatusFound, "", "status_302"},
		{"login page", http.StatusOK, "<html>", "not_slack"},
		{"bad message", http.StatusBadRequest, "invalid_payload", "invalid_payload"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				wrong := r.newWebhook()
				wrong.setFault(func(_ int, w http.ResponseWriter) bool {
					w.WriteHeader(tt.status)
					_, _ = io.WriteString(w, tt.body)
					return true
				})
				in := r.start(func(c *Config) { c.Slack.WebhookURL = config.Literal(wrong.URL) })
				r.send(blocked(30, "example.com"))
				waitFor(t, "refusal in the API", func() bool {
					alerts := r.alerts(in, "?state=firing")
					if len(alerts) != 1 || len(alerts[0].Notify) != 1 {
						return false
					}
					n := alerts[0].Notify[0]
					return n.Owed() && n.LastAnswer == tt.answer && n.Attempts == 1 && n.NextTryAt.Sub(n.TriedAt) == time.Minute
				})
				if n := in.metric(t, "mailstream_alerting_notifications_refused"); n != 1 {
					t.Errorf("%v notifications are shown as refused, want 1", n)
				}
				in.stop()
				in = r.start()
				if posts := r.slack.want(t, 1); !strings.Contains(posts[0].text, "30 of 30 blocked") {
					t.Errorf("posts: %q", texts(posts))
				}
				r.clock.Advance(time.Minute)
				r.send(delivered(300, "example.com"))
				waitFor(t, "recovery", func() bool { return len(r.alerts(in, "?state=recovering")) == 1 })
				r.clock.Advance(6 * time.Minute)
				if posts := r.slack.want(t, 2); !strings.Contains(posts[1].text, "back to normal") {
					t.Errorf("posts: %q", texts(posts))
				}
			})
		})
	}
}

// TestSlack_WhatAnOlderVersionGaveUpIsToldWhileItLasts starts on a record that
// says that a refusal was for good.
func TestSlack_WhatAnOlderVersionGaveUpIsToldWhileItLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(blocked(30, "example.com"))
		r.slack.want(t, 1)
		waitFor(t, "note", func() bool { return !r.alerts(in, "")[0].Notify[0].SentAt.IsZero() })
		in.stop()
		logged := alertLog(t, r)
		a := logged[len(logged)-1]
		a.Version++
		a.Notify[0].SentAt, a.Notify[0].Failed = time.Time{}, "no_service"
		rec, err := book.Record(schemas.AlertsTopic(r.kafka.TopicPrefix), &a)
		if err != nil {
			t.Fatal(err)
		}
		r.produce([]*kgo.Record{rec})
		r.start()
		r.slack.want(t, 2)
		r.slack.wantQuiet(t, 2)
	})
}
