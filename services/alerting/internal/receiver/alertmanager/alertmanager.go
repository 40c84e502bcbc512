// Package alertmanager keeps incidents alive in Alertmanager through its API v2. It
// sends each incident when it changes and every minute while it lasts, and its end for
// some minutes more, for Alertmanager forgets what is not sent.
package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/httppost"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Config is a cluster of Alertmanagers.
type Config struct {
	// URLs are the bases of all instances, 1 to 10, such as http://alertmanager-0:9093:
	// each must hear of every incident, so no load balancer. Required.
	URLs []string `yaml:"urls"`
	// Token lets us in as a bearer (RFC 6750). Default none.
	Token config.Secret `yaml:"token"`
}

const (
	urlsMax = 10
	// resendInterval is how often what lasts is sent; aheadOf is how far in the future
	// its end is said to be, so that three tries may fail before Alertmanager takes it
	// for over. Prometheus does the same.
	resendInterval = time.Minute
	aheadOf        = 4 * time.Minute
	// batchMax bounds the alerts of a request.
	batchMax = 500
	pace     = 100 * time.Millisecond
)

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	p.Check(len(c.URLs) >= 1 && len(c.URLs) <= urlsMax, "urls", "%d of them, want 1 to %d", len(c.URLs), urlsMax)
	for i, u := range c.URLs {
		httppost.CheckURL(p, "urls["+strconv.Itoa(i)+"]", u)
	}
}

// Client sends to all instances.
type Client struct {
	cfg   Config
	post  *httppost.Client
	words wording.Writer
	log   *zap.Logger // throttled
	now   func() time.Time

	mu   sync.Mutex
	held []schemas.Alert // guarded by mu
}

// New returns a client for the cluster.
func New(cfg Config, links wording.Links, transport http.RoundTripper, log *zap.Logger) *Client {
	return &Client{
		cfg: cfg, post: httppost.New("alertmanager", transport), words: wording.Writer{Markup: wording.Text{}, Links: links},
		log: telemetry.Throttled(log), now: time.Now,
	}
}

// Terms wants all that waits at once: Alertmanager groups by itself.
func (*Client) Terms() outbox.Terms {
	return outbox.Terms{Pace: pace, DigestMin: 1, DigestMax: batchMax}
}

// Pages says that it shows what is wrong now.
func (*Client) Pages() bool { return true }

// alert is one element of POST /api/v2/alerts. Its labels are its identity, so numbers
// are in annotations only.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Deliver sends the notices. It succeeds when one instance took them: the others hear
// of them within a minute.
func (c *Client) Deliver(ctx context.Context, notices []outbox.Notice) error {
	alerts := make([]alert, 0, len(notices))
	for i := range notices {
		alerts = append(alerts, c.alert(&notices[i]))
	}
	return c.send(ctx, alerts)
}

// Hold says which incidents to send every minute.
func (c *Client) Hold(alerts []schemas.Alert) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = alerts
}

// Run sends what is held every minute until ctx is done, which is not an error.
func (c *Client) Run(ctx context.Context) error {
	for lifecycle.Sleep(ctx, resendInterval) == nil {
		c.mu.Lock()
		held := c.held
		c.mu.Unlock()
		for len(held) > 0 {
			batch := held[:min(len(held), batchMax)]
			held = held[len(batch):]
			alerts := make([]alert, 0, len(batch))
			for i := range batch {
				alerts = append(alerts, c.alert(noticeOf(&batch[i])))
			}
			if err := c.send(ctx, alerts); err != nil && ctx.Err() == nil {
				c.log.Warn("alertmanager was not notified that incidents last", telemetry.Rows(len(alerts)), telemetry.Err(err))
			}
		}
	}
	return nil
}

// noticeOf is what there is to say of an alert now.
func noticeOf(a *schemas.Alert) *outbox.Notice {
	n := &outbox.Notice{Alert: *a, Kind: schemas.NotifyFiring, At: a.UpdatedAt, Facts: schemas.AlertFacts{
		Incident: a.Incident, Since: a.Since, Ended: a.Ended, Value: a.Value, Peak: a.Peak, Counts: a.Counts, Causes: a.Causes,
		Reasons: a.Reasons, NoTraffic: a.NoTraffic, Measure: a.Measure, Carriers: a.Carriers, Late: a.Late, Answer: a.Answer,
	}}
	switch {
	case a.State == schemas.AlertResolved:
		n.Kind, n.At = schemas.NotifyResolved, a.ResolvedAt
	case a.NoTraffic != nil:
		n.Kind = schemas.NotifyNoTraffic
	}
	return n
}

func (c *Client) alert(n *outbox.Notice) alert {
	m := c.words.Of([]outbox.Notice{*n})
	labels := maps.Clone(n.Alert.Labels)
	if labels == nil {
		labels = make(map[string]string)
	}
	labels["alertname"], labels["severity"] = n.Alert.Rule, string(m.Severity)
	out := alert{
		Labels: labels, StartsAt: n.Facts.Since.UTC(), EndsAt: c.now().Add(aheadOf).UTC(),
		Annotations: map[string]string{"summary": m.Title, "description": m.Summary, "incident": n.Facts.Incident},
	}
	if n.Kind == schemas.NotifyResolved {
		out.EndsAt = n.At.UTC()
		if out.EndsAt.Before(out.StartsAt) {
			out.EndsAt = out.StartsAt
		}
	}
	for _, l := range m.Links {
		switch l.Name {
		case "Incident":
			out.GeneratorURL = l.URL
		case "Runbook":
			out.Annotations["runbook_url"] = l.URL
		}
	}
	return out
}

// send posts to all instances at once, so that one that hangs delays no other, and
// returns an error when none took it.
func (c *Client) send(ctx context.Context, alerts []alert) error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return fate.Wrap(fate.DeadLetter, fmt.Errorf("encode alerts for alertmanager: %w", err))
	}
	header := make(http.Header)
	if c.cfg.Token.IsSet() {
		header.Set("Authorization", "Bearer "+c.cfg.Token.Reveal())
	}
	faults := make([]error, len(c.cfg.URLs))
	var g sync.WaitGroup
	for i, base := range c.cfg.URLs {
		g.Go(func() {
			a, err := c.post.Post(ctx, strings.TrimSuffix(base, "/")+"/api/v2/alerts", body, header)
			if err == nil {
				err = c.post.Judge(a)
			}
			faults[i] = err
		})
	}
	g.Wait()
	if slices.Contains(faults, nil) {
		return nil
	}
	return gentlest(faults)
}

// gentlest returns the fault that passes by itself, where there is one.
func gentlest(faults []error) error {
	for _, err := range faults {
		if !fate.Final(err) {
			return err
		}
	}
	return errors.Join(faults...)
}
