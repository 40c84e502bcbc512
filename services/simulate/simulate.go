// Package simulate sends webhooks to a running ingress the way email providers
// do: authenticated, grouped, repeated, out of order. It plays messages that
// were never sent, to people who do not exist, and reports what the ingress
// answered. It does not look into Kafka or ClickHouse; a query does that.
package simulate

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// Limits of a run.
const (
	rateMax       = 200_000 // events a second; one machine's loopback ends before
	groupMax      = 1000    // events a request; providers group a second's worth
	workersMax    = 256     // requests at once
	tick          = 20 * time.Millisecond
	progressEvery = time.Second
)

// Config says what to send where.
type Config struct {
	URL        string        // base URL of the ingress, "http://127.0.0.1:8080"
	Source     string        // the configured source to post to
	Provider   string        // whose requests to write; one of Providers
	Auth       Auth          // what the source asks for
	Scenario   Scenario      // what happens to the messages
	Rate       float64       // events a second, > 0
	Duration   time.Duration // how long, > 0
	Grace      time.Duration // how long after that refused requests are retried, >= 0
	Domain     string        // the domain that block-spike is about
	Group      int           // events a request, 1 to groupMax; 1 sends bare objects
	Duplicates float64       // share of requests that are resent, 0 to 1
	Reorder    bool          // shuffle events within a few seconds
	Workers    int           // requests at once, 1 to workersMax
	Seed       uint64        // the same seed plays the same messages
	// Bodies of requests that were captured. With some, each is posted once, signed
	// anew, and no scenario is played.
	Bodies [][]byte
}

// Auth is what makes a request genuine. Providers that sign with a private key
// sign with the published one of the development configuration.
type Auth struct {
	Username   string
	Password   config.Secret
	SigningKey config.Secret // of a provider that signs with a shared key
	PublicURL  config.Secret // the URL that is signed; by default the one posted to
	TopicArn   string        // of SNS; by default that of the development configuration
}

// Default returns a minute of normal Mailjet traffic to an ingress on this
// machine.
func Default() Config {
	return Config{
		URL: "http://127.0.0.1:8080", Source: "mailjet", Provider: "mailjet", Scenario: Normal,
		Rate: 100, Duration: time.Minute, Grace: 30 * time.Second, Domain: "spike.example", Group: 1, Workers: 16, Seed: 1,
	}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	base, err := url.Parse(c.URL)
	p.Check(err == nil && base.Host != "" && (base.Scheme == "http" || base.Scheme == "https"), "url", "%q is not an http or https URL", c.URL)
	p.Check(err != nil || base.RawQuery == "" && base.Fragment == "", "url", "%q has a query or a fragment: want the base URL of the ingress, to which the path of the source is added", c.URL)
	p.Check(c.Source != "", "source", "is empty")
	_, ok := registry.Find(c.Provider)
	p.Check(ok, "provider", "%q is not one of %s", c.Provider, strings.Join(Providers(), ", "))
	p.Check(scenarios()[c.Scenario] != nil, "scenario", "%q is not one of %s", c.Scenario, strings.Join(Scenarios(), ", "))
	p.Check(c.Rate > 0 && c.Rate <= rateMax, "rate", "%g is not above 0 and up to %d", c.Rate, rateMax)
	p.Check(c.Duration > 0, "duration", "%s is not above 0s", c.Duration)
	p.Check(c.Grace >= 0, "grace", "%s is below 0s", c.Grace)
	p.Check(c.Group >= 1 && c.Group <= groupMax, "group", "%d is not between 1 and %d", c.Group, groupMax)
	p.Check(c.Duplicates >= 0 && c.Duplicates <= 1, "duplicates", "%g is not between 0 and 1", c.Duplicates)
	p.Check(c.Workers >= 1 && c.Workers <= workersMax, "workers", "%d is not between 1 and %d", c.Workers, workersMax)
	_, err = address.One("a@" + c.Domain)
	p.Check(err == nil && strings.Contains(c.Domain, "."), "domain", "%q is not a domain with a dot", c.Domain)
}

// Providers returns the names of the providers that can be played, sorted.
func Providers() []string {
	names := registry.Names()
	slices.Sort(names)
	return names
}

// player writes the requests of a run.
type player struct {
	cfg      Config
	dialect  dialect.Dialect
	occasion dialect.Occasion
}

// newPlayer finds the dialect of a valid cfg and the keys to sign with.
func newPlayer(cfg Config) (*player, error) {
	entry, _ := registry.Find(cfg.Provider)
	p := &player{cfg: cfg, dialect: entry.Dialect, occasion: dialect.Occasion{
		Grouped: cfg.Group > 1, Key: cfg.Auth.SigningKey.Reveal(), PublicURL: cfg.Auth.PublicURL.Reveal(), TopicArn: cfg.Auth.TopicArn,
	}}
	if p.occasion.PublicURL == "" {
		p.occasion.PublicURL = cfg.target()
	}
	if p.dialect.Single {
		p.cfg.Group = 1
	}
	if err := p.dialect.Prepare(&p.occasion); err != nil {
		return nil, fmt.Errorf("play %s: %w", cfg.Provider, err)
	}
	return p, nil
}

// Run plays the scenario until its duration is over or ctx is done, writes a
// line of progress a second and the summary to out, and returns what happened.
// An ingress that cannot be reached at all is an error, and so are requests that were
// given up.
func Run(ctx context.Context, cfg Config, out io.Writer) (Summary, error) {
	var p config.Problems
	cfg.Validate(&p)
	if err := p.Err(); err != nil {
		return Summary{}, err
	}
	player, err := newPlayer(cfg)
	if err != nil {
		return Summary{}, err
	}
	post := newPoster(cfg)
	defer post.client.CloseIdleConnections()
	requests := make(chan dialect.Request, cfg.Workers)
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(requests)
		if len(cfg.Bodies) > 0 {
			return player.repost(gctx, requests)
		}
		return player.play(gctx, requests)
	})
	for range cfg.Workers {
		group.Go(func() error {
			for r := range requests {
				if err := post.send(gctx, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	progress, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); report(progress, post, out) }()
	err = group.Wait()
	stop()
	<-ended
	summary := post.summary()
	fmt.Fprint(out, summary)
	if ctx.Err() != nil {
		return summary, nil // asked to stop: the summary says how far it came
	}
	if err == nil && summary.GivenUp > 0 {
		err = fmt.Errorf("simulate: %d requests were never answered 200", summary.GivenUp)
	}
	return summary, err
}

// repost writes the captured requests.
func (p *player) repost(ctx context.Context, requests chan<- dialect.Request) error {
	for i, body := range p.cfg.Bodies {
		r, err := p.dialect.Captured(body, &p.occasion)
		if err != nil {
			return fmt.Errorf("sign body %d of %d as %s: %w", i+1, len(p.cfg.Bodies), p.cfg.Provider, err)
		}
		select {
		case requests <- r:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// play writes the requests that are due, tick by tick.
func (p *player) play(ctx context.Context, requests chan<- dialect.Request) error {
	rng := rand.New(rand.NewPCG(p.cfg.Seed, p.cfg.Seed))
	story := newStory(p.cfg, p.dialect.HasWord, rng)
	began := time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	sent, last := 0, false
	for !last {
		elapsed := time.Since(began)
		if elapsed >= p.cfg.Duration {
			elapsed, last = p.cfg.Duration, true
		}
		for due := int(p.cfg.Rate * elapsed.Seconds()); sent < due; {
			facts := story.next(min(p.cfg.Group, due-sent))
			sent += len(facts)
			copies := 1 + repeat(rng, p.cfg.Duplicates)
			for p.occasion.Attempt = 0; p.occasion.Attempt < copies; p.occasion.Attempt++ {
				r, err := p.dialect.Compose(facts, &p.occasion)
				if err != nil {
					return fmt.Errorf("write a webhook of %s: %w", p.cfg.Provider, err)
				}
				select {
				case requests <- r:
				case <-ctx.Done():
					return nil
				}
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func repeat(rng *rand.Rand, share float64) int {
	if rng.Float64() < share {
		return 1
	}
	return 0
}

func report(ctx context.Context, post *poster, out io.Writer) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprintln(out, post.progress())
		case <-ctx.Done():
			return
		}
	}
}

// authorize adds what makes req genuine.
func (a Auth) authorize(req *http.Request) {
	if a.Username != "" || a.Password.IsSet() {
		req.SetBasicAuth(a.Username, a.Password.Reveal())
	}
}
