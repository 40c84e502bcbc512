package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/pipeline"
)

// FreshnessOptions shape one run of Freshness. The zero value of a field takes
// its default.
type FreshnessOptions struct {
	// Rate is the events a second. Default 2,000.
	Rate int
	// Batch is the events of one webhook. Default 20.
	Batch int
	// Duration of the traffic. Default 10s.
	Duration time.Duration
	// Progress, when not nil, is told what is being done.
	Progress func(line string)
}

// FreshnessReport is how long after the 200 of its webhook an event was a row of
// the view events.
type FreshnessReport struct {
	Events        int
	Rate          float64 // events a second that were acknowledged
	P50, P99, Max time.Duration
}

// Freshness sends webhooks at a steady rate to the ingress and watches the view
// events, with broker, engine, ingress and analytics as `make dev` has them. The
// n-th row to be seen is held against the n-th event to be acknowledged, which
// is a watcher's error of a few milliseconds at most. The calling program must
// be able to be the engine's child.
func Freshness(ctx context.Context, opt FreshnessOptions) (FreshnessReport, error) {
	opt = opt.withDefaults()
	d, stop, err := newDrain(ctx, Options{Progress: opt.Progress})
	if err != nil {
		return FreshnessReport{}, err
	}
	defer stop()
	r := run{name: "freshness"}
	if r.cfg, err = d.config(r.name); err != nil {
		return FreshnessReport{}, err
	}
	if err := pipeline.MigrateTables(ctx, r.cfg, zap.NewNop()); err != nil {
		return FreshnessReport{}, err
	}
	stopAnalytics, err := d.startAnalytics(ctx, r)
	if err != nil {
		return FreshnessReport{}, err
	}
	ingress, err := startIngress(ctx, r.cfg)
	if err != nil {
		return FreshnessReport{}, errors.Join(err, stopAnalytics())
	}
	report, err := d.compare(ctx, r, opt, ingress.addr)
	return report, errors.Join(err, ingress.stop(), stopAnalytics())
}

func (o FreshnessOptions) withDefaults() FreshnessOptions {
	if o.Rate == 0 {
		o.Rate = 2000
	}
	if o.Batch == 0 {
		o.Batch = 20
	}
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// compare sends, watches and sets one against the other.
func (d *drain) compare(ctx context.Context, r run, opt FreshnessOptions, addr string) (FreshnessReport, error) {
	p := &poster{opt: opt, url: "http://" + addr + "/v1/webhooks/bench"}
	began := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- p.post(ctx) }()
	total := int(opt.Duration.Seconds()*float64(opt.Rate)) / opt.Batch * opt.Batch
	seen, err := d.watchVisible(ctx, r, total)
	if err := errors.Join(<-sent, err); err != nil {
		return FreshnessReport{}, err
	}
	slices.SortFunc(p.acknowledged, time.Time.Compare)
	delays := make([]time.Duration, total)
	for i := range delays {
		delays[i] = max(0, seen[i].Sub(p.acknowledged[i]))
	}
	slices.Sort(delays)
	return FreshnessReport{
		Events: total, Rate: float64(total) / p.acknowledged[total-1].Sub(began).Seconds(),
		P50: delays[total/2], P99: delays[total*99/100], Max: delays[total-1],
	}, nil
}

// watchVisible returns when each of total rows was first seen.
func (d *drain) watchVisible(ctx context.Context, r run, total int) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	seen := make([]time.Time, 0, total)
	for {
		n, err := d.number(ctx, r, "visible_events")
		if err != nil {
			return nil, fmt.Errorf("watch rows: %w", err)
		}
		for now := time.Now(); len(seen) < n; {
			seen = append(seen, now)
		}
		if len(seen) >= total {
			return seen, nil
		}
		select {
		case <-time.After(watchStep):
		case <-ctx.Done():
			return nil, fmt.Errorf("watch rows: %d of %d: %w", len(seen), total, ctx.Err())
		}
	}
}

// poster sends webhooks at a rate.
type poster struct {
	opt FreshnessOptions
	url string

	mu           sync.Mutex
	acknowledged []time.Time // one an event; guarded by mu
}

// post sends all of them, each at its time however long the ones before take.
func (p *poster) post(ctx context.Context) error {
	every := time.Duration(p.opt.Batch) * time.Second / time.Duration(p.opt.Rate)
	requests := int(p.opt.Duration.Seconds()*float64(p.opt.Rate)) / p.opt.Batch
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: requests}, Timeout: stallMax}
	defer client.CloseIdleConnections()
	errs := make([]error, requests)
	var wg sync.WaitGroup
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range requests {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		wg.Go(func() { errs[i] = p.request(ctx, client, i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p *poster) request(ctx context.Context, client *http.Client, i int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.body(i)))
	if err != nil {
		return err
	}
	req.SetBasicAuth("bench", "bench")
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("webhook answered %s: %s", res.Status, answer)
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.opt.Batch {
		p.acknowledged = append(p.acknowledged, now)
	}
	return err
}

// body is the i-th webhook: events of now, no two alike.
func (p *poster) body(i int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for k := range p.opt.Batch {
		if k > 0 {
			b.WriteByte(',')
		}
		n := strconv.Itoa(i*p.opt.Batch + k)
		b.WriteString(`{"event":"sent","time":` + strconv.FormatInt(time.Now().Unix(), 10) + `,"MessageID":5764607600` + n +
			`,"email":"user` + n + `@example.com","mj_campaign_id":9001,"customcampaign":"spring","CustomID":"order-` + n +
			`","smtp_reply":"sent (250 2.0.0 OK ` + n + ` - mx.example.com)"}`)
	}
	b.WriteByte(']')
	return b.Bytes()
}
