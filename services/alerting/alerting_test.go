package alerting

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func TestSpike_IsToldOnceWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(delivered(7, "example.com"), bounced(2, "example.com"))
		m := blocked(21, "example.com")
		m.reply = "550 5.7.1 <person@example.com> our system has detected that this message is spam"
		began := time.Now()
		r.send(m)
		posts := r.slack.want(t, 1)
		if took := posts[0].at.Sub(began); took > 2*time.Second {
			t.Errorf("slack was notified after %s, want at most 2s", took)
		}
		for _, want := range []string{"example.com", "acme", "70 %", "21 of 30", "7 delivered, 2 bounced", "sender 21", "reputation 21"} {
			if !strings.Contains(posts[0].text, want) {
				t.Errorf("text lacks %q: %s", want, posts[0].text)
			}
		}
		if strings.Contains(posts[0].body, "person@") || !strings.Contains(posts[0].body, "our system has detected") {
			t.Errorf("sample reply: %s", posts[0].body)
		}
		r.send(blocked(30, "example.com"))
		r.slack.wantQuiet(t, 1)
		alerts := r.alerts(in, "?state=firing")
		if len(alerts) != 1 || alerts[0].Labels[schemas.DimensionDomain] != "example.com" || alerts[0].Labels[schemas.LabelSource] != "acme" {
			t.Errorf("alerts: %+v", alerts)
		}
	})
}

func TestNoSpike_NobodyIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := blocked(40, "old.test")
		old.age = 16 * time.Minute
		replay := blocked(40, "replay.test")
		replay.headers = []kgo.RecordHeader{{Key: schemas.HeaderReplay, Value: []byte("1")}}
		backfill := blocked(40, "backfill.test")
		backfill.headers = []kgo.RecordHeader{{Key: schemas.HeaderOrigin, Value: []byte(schemas.OriginBackfill)}}
		elsewhere := blocked(15, "sources.test")
		elsewhere.source = "other"
		opened := mail{kind: schemas.Opened, n: 40, domain: "opened.test"}
		tests := []struct {
			name  string
			mails []mail
		}{
			{"exactly 60 % of 20", []mail{delivered(5, "a.test"), bounced(3, "a.test"), blocked(12, "a.test")}},
			{"57 % of 40", []mail{blocked(23, "b.test"), delivered(17, "b.test")}},
			{"6 of 6", []mail{blocked(6, "c.test")}},
			{"19 of 19", []mail{blocked(19, "d.test")}},
			{"older than the window", []mail{old}},
			{"replayed", []mail{replay}},
			{"fetched afterwards", []mail{backfill}},
			{"two sources, none with enough", []mail{blocked(15, "sources.test"), elsewhere}},
			{"other events", []mail{opened}},
		}
		r := newRig(t)
		in := r.start()
		var mails []mail
		for _, tt := range tests {
			mails = append(mails, tt.mails...)
		}
		r.send(mails...)
		r.slack.wantQuiet(t, 0)
		if alerts := r.alerts(in, ""); len(alerts) != 0 {
			t.Errorf("alerts: %+v", alerts)
		}
		if n := in.metric(t, "mailstream_alerting_records_finished_total", "replayed"); n != 80 {
			t.Errorf("%v records replayed, want 80", n)
		}
		if n := in.metric(t, "mailstream_alerting_records_finished_total", "late"); n != 40 {
			t.Errorf("%v records late, want 40", n)
		}
	})
}

func TestDuplicates_CountOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		recs := r.records(blocked(19, "example.com"))
		for range 3 {
			r.produce(recs)
		}
		r.slack.wantQuiet(t, 0)
		if n := in.metric(t, "mailstream_alerting_records_finished_total", "duplicate"); n != 38 {
			t.Errorf("%v duplicates, want 38", n)
		}
		r.send(blocked(1, "example.com"))
		r.slack.want(t, 1)
	})
}

// after returns the records of what happened to the same messages a minute later.
func (r *rig) after(recs []*kgo.Record, kind schemas.Type) (out []*kgo.Record) {
	r.t.Helper()
	for _, rec := range recs {
		e, err := schemas.Decode(rec.Value)
		if err != nil {
			r.t.Fatal(err)
		}
		r.next++
		e.ID, e.Type, e.Time = fmt.Sprintf("00000000-0000-8000-8000-%012d", r.next), kind, e.Time.Add(time.Minute)
		if kind != schemas.Delivered {
			e.Reason, e.Cause = schemas.Reputation, schemas.CauseSender
		}
		out = append(out, &kgo.Record{
			Topic: schemas.EventTopic(r.kafka.TopicPrefix, kind), Key: []byte(schemas.PartitionKey(&e)),
			Value: schemas.AppendJSON(nil, &e), Timestamp: r.clock.Now(),
		})
	}
	return out
}

func TestOutcome_ARefusalAfterTheDeliveryReplacesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		accepted := r.records(delivered(30, "example.com"))
		r.produce(accepted)
		r.clock.Advance(2 * time.Minute)
		refused := r.after(accepted, schemas.Blocked)
		r.produce(refused)
		if posts := r.slack.want(t, 1); !strings.Contains(posts[0].text, "Block rate 100 %") || !strings.Contains(posts[0].text, "30 of 30 blocked") {
			t.Errorf("posts: %q", texts(posts))
		}
		r.produce(accepted) // as a provider does that got no answer
		r.produce(refused)
		waitFor(t, "duplicates", func() bool { return in.metric(t, "mailstream_alerting_records_finished_total", "duplicate") == 60 })
		if a := r.alerts(in, "")[0]; a.Value != 1 || a.Counts != (schemas.AlertCounts{Blocked: 30}) {
			t.Errorf("alert: %v, %+v", a.Value, a.Counts)
		}
		in.stop() // whoever takes over counts the same, though it reads the topics in another order
		in = r.start()
		r.clock.Advance(time.Minute)
		r.produce(r.after(refused[:20], schemas.Delivered)) // and a later try is taken
		waitFor(t, "deliveries", func() bool {
			a := r.alerts(in, "")
			return len(a) == 1 && a[0].Counts == schemas.AlertCounts{Delivered: 20, Blocked: 10}
		})
	})
}

func TestProvider_SpikeOfOneDomainIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		m := blocked(30, "gmail.com")
		m.provider = "google"
		r.send(m)
		posts := r.slack.want(t, 1)
		for _, want := range []string{"gmail.com", "mailbox_provider google"} {
			if !strings.Contains(posts[0].text, want) {
				t.Errorf("text lacks %q: %s", want, posts[0].text)
			}
		}
		r.send(m)
		r.slack.wantQuiet(t, 1)
		if alerts := r.alerts(in, "?state=firing"); len(alerts) != 2 {
			t.Errorf("%d alerts fire, want the domain's and the provider's", len(alerts))
		}
		ok := delivered(300, "gmail.com")
		ok.provider = "google"
		r.send(ok)
		waitFor(t, "recovery of both", func() bool { return len(r.alerts(in, "?state=recovering")) == 2 })
		r.clock.Advance(5*time.Minute + time.Second)
		r.slack.want(t, 2)
		waitFor(t, "end of both", func() bool { return len(r.alerts(in, "?state=resolved")) == 2 })
		r.slack.wantQuiet(t, 2)
	})
}

func TestProvider_SpikeOfManySmallDomainsIsToldAsTheProviders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		var mails []mail
		for i := range 10 {
			m := blocked(5, fmt.Sprintf("company%d.test", i))
			m.provider = "microsoft-365"
			mails = append(mails, m)
		}
		r.send(mails...)
		posts := r.slack.want(t, 1)
		if !strings.Contains(posts[0].text, "at microsoft-365") {
			t.Errorf("text: %s", posts[0].text)
		}
		more := blocked(30, "company0.test") // now it has a spike of its own, of the same provider
		more.provider = "microsoft-365"
		r.send(more)
		r.slack.wantQuiet(t, 1)
	})
}

func TestRecovery_IsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(blocked(30, "example.com"))
		r.slack.want(t, 1)
		r.clock.Advance(2 * time.Minute)
		r.send(delivered(90, "example.com"))
		waitFor(t, "recovery", func() bool { return len(r.alerts(in, "?state=recovering")) == 1 })
		r.clock.Advance(4 * time.Minute)
		r.slack.wantQuiet(t, 1)
		r.clock.Advance(time.Minute + time.Second)
		posts := r.slack.want(t, 2)
		for _, want := range []string{"back to normal at example.com", "peak 100 %", "lasted 7 min"} {
			if !strings.Contains(posts[1].text, want) {
				t.Errorf("text lacks %q: %s", want, posts[1].text)
			}
		}
		r.slack.wantQuiet(t, 2)
		r.clock.Advance(20 * time.Minute)
		r.send(blocked(30, "example.com"))
		if posts := r.slack.want(t, 3); !strings.Contains(posts[2].text, "Block rate 100 %") {
			t.Errorf("the next incident: %s", posts[2].text)
		}
	})
}

func TestSilence_IsNoRecoveryUntilItIsStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(blocked(30, "example.com"))
		r.slack.want(t, 1)
		judged := r.clock.Now()
		r.clock.Advance(time.Hour)
		posts := r.slack.want(t, 2)
		if !strings.Contains(posts[1].text, "Too little mail") || !strings.Contains(posts[1].text, "no messages in 15 minutes") {
			t.Errorf("text: %s", posts[1].text)
		}
		alerts := r.alerts(in, "?state=firing")
		if len(alerts) != 1 || alerts[0].NoTraffic == nil {
			t.Fatalf("alerts: %+v", alerts)
		}
		q := alerts[0].NoTraffic
		if off := q.Since.Sub(judged).Abs(); off > 2*time.Second || q.EndsAt.Sub(q.Since) != 2*time.Hour {
			t.Errorf("no traffic since %s, ends %s; there was mail until %s", q.Since, q.EndsAt, judged)
		}
		r.send(delivered(5, "example.com")) // still too little, and no second message
		r.slack.wantQuiet(t, 2)
		r.clock.Advance(time.Hour + time.Minute)
		if posts := r.slack.want(t, 3); !strings.Contains(posts[2].text, "No more traffic") || !strings.Contains(posts[2].text, "Too little mail since") {
			t.Errorf("text: %s", posts[2].text)
		}
		if alerts := r.alerts(in, "?state=resolved"); len(alerts) != 1 || alerts[0].NoTraffic != nil || alerts[0].Ended != schemas.EndNoTraffic {
			t.Errorf("alerts: %+v", alerts)
		}
	})
}

func TestSilence_IsOverWithNewMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(blocked(30, "example.com"))
		r.slack.want(t, 1)
		r.clock.Advance(time.Hour)
		r.slack.want(t, 2)
		r.send(blocked(30, "example.com"))
		r.clock.Advance(time.Minute)
		waitFor(t, "mail in the API", func() bool {
			alerts := r.alerts(in, "?state=firing")
			return len(alerts) == 1 && alerts[0].NoTraffic == nil && alerts[0].Counts.Blocked == 30
		})
		r.clock.Advance(time.Hour)
		waitFor(t, "silence in the API", func() bool { return r.alerts(in, "?state=firing")[0].NoTraffic != nil })
		r.slack.wantQuiet(t, 2) // one message an incident
	})
}

func TestExpiry_OfDeliveriesCrossesTheLineToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		before := delivered(30, "example.com")
		before.age = 10 * time.Minute
		r.send(before, blocked(25, "example.com"))
		r.slack.wantQuiet(t, 0)
		r.clock.Advance(6 * time.Minute) // the deliveries leave the window
		if posts := r.slack.want(t, 1); !strings.Contains(posts[0].text, "25 of 25") {
			t.Errorf("text: %s", posts[0].text)
		}
	})
}

func TestWithoutSlack_AlertsAreInTheAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start(func(c *Config) { c.Slack.WebhookURL = config.Secret{} })
		r.send(blocked(30, "example.com"))
		waitFor(t, "alert", func() bool { return len(r.alerts(in, "?state=firing")) == 1 })
		in.stop()
		r.start() // Slack is configured now: the incident is under way and no one was notified
		r.slack.want(t, 1)
		r.slack.wantQuiet(t, 1)
	})
}

func TestAPI_WantsATokenAndFilters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(blocked(30, "example.com"))
		r.slack.want(t, 1)
		tests := []struct {
			name   string
			path   string
			bearer string
			want   int
		}{
			{"no token", "/v1/alerts", "", http.StatusUnauthorized},
			{"wrong token", "/v1/alerts", "Bearer nope", http.StatusUnauthorized},
			{"unknown state", "/v1/alerts?state=bad", "Bearer " + token, http.StatusBadRequest},
			{"unknown path", "/v1/nothing", "Bearer " + token, http.StatusNotFound},
			{"right", "/v1/alerts", "Bearer " + token, http.StatusOK},
			{"health needs none", "/healthz", "", http.StatusOK},
			{"readiness needs none", "/readyz", "", http.StatusOK},
			{"metrics are elsewhere", "/metrics", "", http.StatusUnauthorized},
		}
		for _, tt := range tests {
			req, err := http.NewRequest(http.MethodGet, "http://"+in.Addr()+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", tt.bearer)
			resp, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("%s: status %d, want %d", tt.name, resp.StatusCode, tt.want)
			}
		}
		req, err := http.NewRequest(http.MethodPost, "http://"+in.Addr()+"/v1/alerts", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodGet {
			t.Errorf("post: status %d, allow %q", resp.StatusCode, resp.Header.Get("Allow"))
		}
		for query, want := range map[string]int{
			"": 1, "?state=firing": 1, "?state=resolved": 0, "?state=resolved,firing": 1,
			"?source=acme": 1, "?source=other": 0, "?rule=block_spike": 1, "?rule=x": 0,
		} {
			if got := r.alerts(in, query); len(got) != want {
				t.Errorf("%q: %d alerts, want %d", query, len(got), want)
			}
		}
	})
}
