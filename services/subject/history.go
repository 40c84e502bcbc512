package subject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// topicPatience is how long the brokers may take to hand out a topic, such as a suppression
// list of some ten million addresses.
const topicPatience = 5 * time.Minute

// listed returns what the topic of the suppression list says of the hashes. ClickHouse
// has the present add and lift of an entry, the topic those of before, too. It is
// read whole: its records are not found by key.
func (d Deps) listed(ctx context.Context, hashes []string) ([]schemas.Suppression, error) {
	latest := map[string][]byte{}
	err := d.whole(ctx, schemas.SuppressionsTopic(d.Kafka.TopicPrefix), func(rec *kgo.Record) {
		if hash := string(rec.Key); slices.Contains(hashes, hash) {
			latest[hash] = slices.Clone(rec.Value)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read suppression list: %w", err)
	}
	var out []schemas.Suppression
	for _, hash := range hashes {
		if len(latest[hash]) == 0 { // none, or deleted
			continue
		}
		var s schemas.Suppression
		if err := json.Unmarshal(latest[hash], &s); err != nil {
			return nil, fmt.Errorf("read suppression list: record of %s: %w", hash, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// whole hands out every record that topic has by now; each must not keep it.
func (d Deps) whole(ctx context.Context, topic string, each func(*kgo.Record)) error {
	tail, err := read.NewTail(d.Kafka, read.TailConfig{Topic: topic}, d.Log, telemetry.NewRegistry())
	if err != nil {
		return err
	}
	run, cancel := context.WithTimeout(ctx, topicPatience)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- tail.Run(run, func(_ context.Context, recs []*kgo.Record) error {
			for _, rec := range recs {
				each(rec)
			}
			return nil
		})
	}()
	select {
	case <-tail.CaughtUp():
		cancel()
		<-ended
		return nil
	case err := <-ended:
		return errors.Join(err, run.Err())
	}
}

// step is one add or lift of an entry of the list, or a soft bounce that counts for it.
type step struct {
	Scope  string `json:"scope,omitempty"`
	Reason string `json:"reason"`
	What   string `json:"what"` // added, lifted, soft bounce
	schemas.SuppressionStep
	Expires time.Time `json:"expires,omitzero"`
}

// steps returns all that is known of s, the earliest first.
func steps(s schemas.Suppression) []step {
	var all []step
	for _, e := range s.Entries {
		add := func(one schemas.SuppressionStep, expires time.Time) {
			if one.At.IsZero() {
				return
			}
			what := "added"
			if one.Lift {
				what = "lifted"
			}
			all = append(all, step{Scope: e.Scope, Reason: string(e.Reason), What: what, SuppressionStep: one, Expires: expires})
		}
		for _, past := range e.Past {
			add(past, time.Time{})
		}
		add(schemas.SuppressionStep{At: e.AddedAt, Evidence: e.Evidence, Provider: e.Provider, Source: e.Source, Note: e.Note}, e.ExpiresAt)
		add(schemas.SuppressionStep{At: e.RemovedAt, Lift: true, Evidence: e.RemovedBy, Note: e.RemovedNote}, time.Time{})
	}
	for _, b := range s.SoftBounces {
		all = append(all, step{Reason: string(b.Reason), What: "soft bounce", SuppressionStep: schemas.SuppressionStep{At: b.At, Evidence: b.Evidence, Provider: b.Provider, Source: b.Source}})
	}
	slices.SortStableFunc(all, func(a, b step) int { return a.At.Compare(b.At) })
	return all
}

// history exports how the person came to the list and left it.
func (e exporter) history(ctx context.Context, row func([]byte) error) error {
	list, err := e.deps.listed(ctx, e.person.hashes)
	if err != nil {
		return err
	}
	for _, s := range list {
		for _, one := range steps(s) {
			line, err := json.Marshal(one)
			if err == nil {
				err = row([]byte(e.person.alone(line)))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
