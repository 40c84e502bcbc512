package subject

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// deadLetter is one of the view dead_letters.
type deadLetter struct {
	ID         string     `ch:"id" json:"id"`
	Time       time.Time  `ch:"time" json:"time"`
	Service    string     `ch:"service" json:"service"`
	Reason     string     `ch:"reason" json:"reason"`
	Provider   string     `ch:"provider" json:"provider,omitempty"`
	Source     string     `ch:"source" json:"source,omitempty"`
	ReceivedAt *time.Time `ch:"received_at" json:"received_at,omitempty"`
	Bytes      string     `ch:"bytes" json:"-"`
}

//go:embed sql/dead_letters.sql
var deadLettersSQL string

// eachLetter calls found for each dead letter that holds an address of people, once
// a person, and returns the ids of all that it looked at.
func eachLetter(ctx context.Context, client *clickhouse.Client, people []person, found func(i int, d deadLetter)) (known map[string]bool, err error) {
	known = map[string]bool{}
	return known, client.Each(ctx, deadLettersSQL, func(scan func(any) error) error {
		var d deadLetter
		if err := scan(&d); err != nil {
			return fmt.Errorf("read dead letter: %w", err)
		}
		known[d.ID] = true
		search([]byte(d.Bytes), people, func(i int) { found(i, d) })
		return nil
	})
}

// eachRecord calls found for each dead letter in Kafka that holds an address of people, once a
// person, but those that known has: ClickHouse does not have yet what is on its way.
func (d Deps) eachRecord(ctx context.Context, people []person, known map[string]bool, found func(i int, id string)) error {
	err := d.whole(ctx, schemas.DeadLetterTopic(d.Kafka.TopicPrefix), func(rec *kgo.Record) {
		var letter schemas.DeadLetter
		if json.Unmarshal(rec.Value, &letter) != nil || known[letter.ID] {
			return // no row is made of it, or it was searched
		}
		search(letter.Bytes, people, func(i int) { found(i, letter.ID) })
	})
	if err != nil {
		return fmt.Errorf("read dead letters of the topic: %w", err)
	}
	return nil
}

// search calls found for each of people whose address text holds.
func search(text []byte, people []person, found func(i int)) {
	seen := make([]bool, len(people))
	for form := range forms(text) {
		text := folded(form)
		for i, p := range people {
			if !seen[i] && p.finder.in(text) {
				seen[i] = true
				found(i)
			}
		}
	}
}
