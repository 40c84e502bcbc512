package outage

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

var noon = time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)

// world plays mail to two mailbox providers, minute by minute.
type world struct {
	*Watch
	at time.Time
	n  int
}

func newWorld() *world { return &world{Watch: New(0.1), at: noon} }

// minute has each name take and bounce as many messages, and returns how many
// bounces of google were doubted.
func (w *world) minute(googleTaken, googleBounced, othersTaken, othersBounced int) (doubted int) {
	for range googleTaken {
		w.Taken("google", w.at)
	}
	for range othersTaken {
		w.Taken("yahoo", w.at)
	}
	for range othersBounced {
		w.bounce("yahoo")
	}
	for range googleBounced {
		if w.bounce("google") {
			doubted++
		}
	}
	w.at = w.at.Add(time.Minute)
	return doubted
}

func (w *world) bounce(name string) bool {
	w.n++
	return w.Bounced(&schemas.Event{ID: fmt.Sprint(w.n), MailboxProvider: name, RecipientHash: "h"}, w.at, w.at)
}

func TestWatch_DoubtsWhatOneMailboxProviderRefusesAllOfASudden(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for range 60 {
		if n := w.minute(100, 1, 100, 1); n != 0 || len(w.Due()) != 0 {
			t.Fatalf("%d doubted on a quiet day", n)
		}
	}
	believed, doubted := 0, 0
	for range 30 {
		n := w.minute(50, 50, 100, 1)
		doubted += n
		believed += 50 - n
	}
	// 5 times 1.5 % of 1,500 messages: about 160 of them in, the first are believed.
	if believed > 250 || doubted == 0 {
		t.Errorf("%d believed and %d doubted of a refusal of half the mail", believed, doubted)
	}
	if due := len(w.Due()); due < believed || due > believed+15 {
		t.Errorf("%d are handed back, want the %d that were believed and the few of the window before", due, believed)
	}
	if got := w.Active(w.at); len(got) != 1 || got[0] != "google" {
		t.Errorf("active: %v", got)
	}
	w.Done(len(w.Due()))
	for range 60 {
		w.minute(100, 1, 100, 1)
	}
	if got := w.Active(w.at); len(got) != 0 || w.minute(100, 1, 100, 1) != 0 {
		t.Errorf("an hour later: %v", got)
	}
	for range 5 { // the outage did not become the usual
		doubted = w.minute(50, 50, 100, 1)
	}
	if doubted == 0 {
		t.Error("the next outage is believed")
	}
}

func TestWatch_WhatMustNotBeDoubted(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(w *world) int{
		"an old list bounces everywhere": func(w *world) int { return w.minute(100, 60, 100, 60) },
		"few bounces":                    func(w *world) int { return w.minute(0, bouncesMin-1, 100, 0) },
		"many messages, a usual share":   func(w *world) int { return w.minute(10_000, 300, 100, 0) },
		"what was taken is read later": func(w *world) int {
			old, doubted := w.at, 0
			for range 200 {
				w.n++
				if w.Bounced(&schemas.Event{ID: fmt.Sprint(w.n), MailboxProvider: "google"}, old, old.Add(time.Hour)) {
					doubted++
				}
			}
			return doubted
		},
		"a mailbox provider without a name": func(w *world) int {
			doubted := 0
			for range 200 {
				if w.bounce("") {
					doubted++
				}
			}
			return doubted
		},
		"one batch over and over": func(w *world) int {
			doubted := 0
			for range 200 {
				if w.Bounced(&schemas.Event{ID: "1", MailboxProvider: "google"}, w.at, w.at) {
					doubted++
				}
			}
			return doubted
		},
	} {
		w := newWorld()
		if n := play(w); n != 0 {
			t.Errorf("%s: %d are doubted", name, n)
		}
	}
}

func TestWatch_IsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for i := range 2 * recentMax {
		w.bounce("google")
		w.bounce(fmt.Sprint("name", i))
	}
	if c := w.names["google"]; len(w.names) > namesMax || len(c.recent) > recentMax || len(c.known) > recentMax {
		t.Errorf("%d names, %d bounces, %d ids", len(w.names), len(c.recent), len(c.known))
	}
	for range 3 * spellsMax {
		w.at = w.at.Add(24 * time.Hour)
		for range 2 * bouncesMin {
			w.bounce("google")
		}
	}
	if n := len(w.names["google"].spells); n > spellsMax {
		t.Errorf("%d outages are remembered", n)
	}
}

func BenchmarkBounced(b *testing.B) {
	w := newWorld()
	for b.Loop() {
		w.at = w.at.Add(10 * time.Millisecond)
		w.bounce("google")
	}
}
