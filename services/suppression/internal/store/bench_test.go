package store_test

import (
	"errors"
	"testing"

	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// BenchmarkPebble reads 1,000 known keys of a list that is on disk, one by one and at
// once, from the database and from a copy.
func BenchmarkPebble(b *testing.B) {
	const listed, asked = 1_000_000, 1000
	p := open(b, b.TempDir(), "topic")
	defer closeStore(b, p)
	for i := 0; i < listed; {
		var batch store.Batch
		for range 20_000 {
			k := key(i)
			batch.Updates = append(batch.Updates, store.Update{Key: k, State: state(k, entry("account", i))})
			i++
		}
		merge(b, p, batch)
	}
	if err := p.Compact(b.Context()); err != nil {
		b.Fatal(err)
	}
	keys := make([]store.Key, asked)
	next := func(round int) {
		for i := range keys {
			keys[i] = key((round*asked + i) * 7919 % listed)
		}
	}
	read := func(how string) { benchmarkReads(b, p, how, keys, next) }
	read("")
	if err := p.RenewCopy(b.Context()); err != nil {
		b.Fatal(err)
	}
	read(" with a copy")
}

func benchmarkReads(b *testing.B, p *store.Pebble, how string, keys []store.Key, next func(round int)) {
	b.Run("one by one"+how, func(b *testing.B) {
		for round := 0; b.Loop(); round++ {
			next(round)
			for _, k := range keys {
				if _, ok, err := p.Get(k); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		}
	})
	b.Run("at once"+how, func(b *testing.B) {
		for round := 0; b.Loop(); round++ {
			next(round)
			if states, err := p.GetAll(keys); err != nil || states[0].Hash == "" {
				b.Fatal(states[0], err)
			}
		}
	})
}

// BenchmarkFill is the time for each of a million states that an empty store is filled with.
func BenchmarkFill(b *testing.B) {
	const listed = 1_000_000
	updates := make([]store.Update, listed)
	for i := range updates {
		k := key(i)
		updates[i] = store.Update{Key: k, FromTopic: true, State: state(k, entry("account", i))}
	}
	for b.Loop() {
		p := open(b, b.TempDir(), "topic")
		f, err := p.NewFill()
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(f.Add(updates), f.Finish(b.Context(), nil), f.Close()); err != nil {
			b.Fatal(err)
		}
		closeStore(b, p)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*listed), "ns/state")
}

// BenchmarkOpen is a start on a million states, without and with a copy.
func BenchmarkOpen(b *testing.B) {
	const listed = 1_000_000
	dir := b.TempDir()
	p := open(b, dir, "topic")
	f, err := p.NewFill()
	if err != nil {
		b.Fatal(err)
	}
	updates := make([]store.Update, listed)
	for i := range updates {
		updates[i] = store.Update{Key: key(i), State: state(key(i), entry("account", i))}
	}
	if err := errors.Join(f.Add(updates), f.Finish(b.Context(), nil), f.Close()); err != nil {
		b.Fatal(err)
	}
	starts := func(name string) {
		closeStore(b, p)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				closeStore(b, open(b, dir, "topic"))
			}
		})
		p = open(b, dir, "topic")
	}
	starts("without")
	if err := p.RenewCopy(b.Context()); err != nil {
		b.Fatal(err)
	}
	starts("with")
	closeStore(b, p)
}
