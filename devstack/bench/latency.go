package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/stack"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

// LatencyOptions shape one run of Latency. The zero value of a field takes its
// default.
type LatencyOptions struct {
	// Rate of the traffic beside the probes, events a second. Default 2,000.
	Rate float64
	// Group is the events of one of its requests. Default 20.
	Group int
	// Probes of each kind. Default 100.
	Probes int
	// Spikes are blocks beyond the threshold, each at a different domain. Default
	// 10.
	Spikes int
	// Progress, when not nil, is called with each step as it ends.
	Progress func(line string)
}

// LatencyReport is how long after its 200 an event has its effect, under the
// rate.
type LatencyReport struct {
	Rate  float64 // events a second that were accepted meanwhile
	Row   Spread  // a row of the view events
	Check Spread  // a check says suppressed
	Slack Spread  // Slack is called
}

// Spread is the middle, the 99th percentile and the end of some durations.
type Spread struct {
	P50, P99, Max time.Duration
}

func spreadOf(all []time.Duration) Spread {
	slices.Sort(all)
	return Spread{all[len(all)/2], all[len(all)*99/100], all[len(all)-1]}
}

func (o LatencyOptions) withDefaults() LatencyOptions {
	if o.Rate == 0 {
		o.Rate = 2000
	}
	if o.Group == 0 {
		o.Group = 20
	}
	if o.Probes == 0 {
		o.Probes = 100
	}
	if o.Spikes == 0 {
		o.Spikes = 10
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

const (
	probePoll    = 2 * time.Millisecond // how exactly a probe's effect is seen
	probeTimeout = 30 * time.Second     // an effect that is not there by then is a fault
	spikeSize    = 25                   // blocked messages of one spike, above the rule's 20
	probeFirstID = 700_000_000_000_000_000
)

// Latency runs the whole stack in this process, sends it the rate of mixed
// traffic, and measures with single events how long each effect takes after the
// webhook was answered 200. The calling program must be able to be the engine's
// child.
func Latency(ctx context.Context, opt LatencyOptions) (report LatencyReport, err error) {
	opt = opt.withDefaults()
	dir, err := os.MkdirTemp("", "mailstream-latency-")
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := stack.New(stack.Options{DataDir: dir, FreePorts: true, Log: zap.NewNop(), Progress: opt.Progress})
	if err != nil {
		return report, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); err = errors.Join(err, <-done) }()
	select {
	case <-s.Ready():
	case err := <-done:
		done <- nil
		return report, err
	}
	return latencyOf(ctx, &prober{stack: s, next: probeFirstID}, opt)
}

// latencyOf measures on a running stack.
func latencyOf(ctx context.Context, p *prober, opt LatencyOptions) (LatencyReport, error) {
	load, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	type outcome struct {
		summary simulate.Summary
		err     error
	}
	ended := make(chan outcome, 1)
	go func() {
		summary, err := simulate.Run(load, p.traffic(opt), io.Discard)
		ended <- outcome{summary, err}
	}()
	var report LatencyReport
	var faults []error
	for _, m := range []struct {
		name  string
		n     int
		into  *Spread
		probe func(context.Context) (time.Duration, error)
	}{
		{"row in events", opt.Probes, &report.Row, p.row},
		{"check says suppressed", opt.Probes, &report.Check, p.check},
		{"Slack is called", opt.Spikes, &report.Slack, p.spike},
	} {
		var all []time.Duration
		for range m.n {
			took, err := m.probe(ctx)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", m.name, err))
				break
			}
			all = append(all, took)
		}
		if len(all) > 0 {
			*m.into = spreadOf(all)
		}
		opt.Progress(fmt.Sprintf("%-22s p50 %s, p99 %s", m.name, m.into.P50.Round(time.Millisecond), m.into.P99.Round(time.Millisecond)))
	}
	stopLoad()
	o := <-ended
	report.Rate = float64(o.summary.Accepted) / o.summary.Took.Seconds()
	return report, errors.Join(append(faults, o.err)...)
}

// prober sends single events and looks for what they do.
type prober struct {
	stack *stack.Stack
	next  int64
}

// traffic is the load beside the probes.
func (p *prober) traffic(opt LatencyOptions) simulate.Config {
	cfg := simulate.Default()
	cfg.URL, cfg.Rate, cfg.Group, cfg.Duration = p.stack.URL(pipeline.Ingress), opt.Rate, opt.Group, time.Hour
	source := p.stack.Config().Ingress.Sources[0]
	for _, s := range p.stack.Config().Ingress.Sources {
		if s.Name == cfg.Source {
			source = s
		}
	}
	cfg.Auth = simulate.Auth{Username: source.Auth.Basic.Username, Password: source.Auth.Basic.Password[0]}
	return cfg
}

func (p *prober) row(ctx context.Context) (time.Duration, error) {
	p.next++
	body := fmt.Sprintf(`{"event":"open","time":%d,"MessageID":%d,"email":"probe@example.com"}`, time.Now().Unix(), p.next)
	if err := p.post(ctx, body); err != nil {
		return 0, err
	}
	query, err := drainSQL.ReadFile("sql/probe_row.sql")
	if err != nil {
		return 0, err
	}
	at := fmt.Sprintf("%s/?param_message_id=%d", p.stack.ClickHouse(), p.next)
	return p.until(ctx, func() (bool, error) {
		text, err := p.call(ctx, at, string(query))
		return strings.TrimSpace(text) == "1", err
	})
}

func (p *prober) check(ctx context.Context) (time.Duration, error) {
	p.next++
	address := fmt.Sprintf("dead-%d@example.com", p.next)
	body := fmt.Sprintf(`{"event":"bounce","time":%d,"MessageID":%d,"email":%q,"hard_bounce":true,"error":"user unknown"}`, time.Now().Unix(), p.next, address)
	if err := p.post(ctx, body); err != nil {
		return 0, err
	}
	question := fmt.Sprintf(`{"addresses":[%q]}`, address)
	return p.until(ctx, func() (bool, error) {
		text, err := p.call(ctx, p.stack.URL(pipeline.Suppression)+"/v1/suppressions/check", question)
		return strings.Contains(text, "hard_bounce"), err
	})
}

func (p *prober) spike(ctx context.Context) (time.Duration, error) {
	p.next++
	domain := fmt.Sprintf("spike-%d.example", p.next)
	var items []json.RawMessage
	for range spikeSize {
		p.next++
		items = append(items, fmt.Appendf(nil, `{"event":"blocked","time":%d,"MessageID":%d,"email":"p%d@%s","error_related_to":"spam","error":"sender blocked"}`, time.Now().Unix(), p.next, p.next, domain))
	}
	body, err := json.Marshal(items)
	if err != nil {
		return 0, err
	}
	if err := p.post(ctx, string(body)); err != nil {
		return 0, err
	}
	return p.until(ctx, func() (bool, error) {
		for _, m := range p.stack.Slack().Messages() {
			if strings.Contains(m.Text, domain) {
				return true, nil
			}
		}
		return false, nil
	})
}

// until measures how long it takes from now until seen says yes.
func (p *prober) until(ctx context.Context, seen func() (bool, error)) (time.Duration, error) {
	began := time.Now()
	ticker := time.NewTicker(probePoll)
	defer ticker.Stop()
	for {
		ok, err := seen()
		took := time.Since(began)
		switch {
		case err != nil || ok:
			return took, err
		case took > probeTimeout:
			return 0, fmt.Errorf("nothing after %s", probeTimeout)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (p *prober) post(ctx context.Context, body string) error {
	_, err := p.call(ctx, p.stack.URL(pipeline.Ingress)+"/v1/webhooks/mailjet", body)
	return err
}

// call posts body with what every part of the development stack asks for.
func (p *prober) call(ctx context.Context, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	switch {
	case strings.Contains(url, "/v1/webhooks/"):
		req.SetBasicAuth("dev", "dev")
	case strings.Contains(url, "/v1/suppressions/"):
		req.Header.Set("Authorization", "Bearer dev")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d: %s", url, resp.StatusCode, text)
	}
	return string(text), err
}
