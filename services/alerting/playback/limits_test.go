package playback

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// quietMail plays a message a minute to a domain of its own, perMinute of them at once, and
// returns what ended it and how many keys were kept at the end.
func quietMail(minutes, perMinute int, limits Limits) (int, error) {
	p := newPlayer(Of([]rule.Rule{{Name: "block_spike"}}))
	from := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	h, f := history{tick: time.Minute, next: from, limits: limits.withDefaults()}, newFold(p.table)
	for i := range minutes {
		for j := range perMinute {
			m := minute{Minute: from.Add(time.Duration(i) * time.Minute), Source: "acme", RecipientDomain: fmt.Sprintf("d%d-%d.example", i, j), Delivered: 1}
			if err := h.take(p, f, &m); err != nil {
				return p.limit.Used(), err
			}
		}
	}
	h.flush(p, f)
	return p.limit.Used(), nil
}

// TestPlayer_ForgetsDomainsThatAreQuiet has ten hours of mail without a block, each to
// another domain: what is kept is that of one window.
func TestPlayer_ForgetsDomainsThatAreQuiet(t *testing.T) {
	t.Parallel()
	if kept, err := quietMail(600, 1, Limits{Keys: 50}); err != nil || kept > 50 {
		t.Errorf("kept %d keys, %v", kept, err)
	}
}

func TestLimits_SayWhichAndWhatToDo(t *testing.T) {
	t.Parallel()
	for says, limits := range map[string]Limits{
		"more than 50 domains and mailbox providers within one window": {Keys: 50},
		"more than 70 rows": {Rows: 70},
	} {
		_, err := quietMail(3, 100, limits)
		if limit, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(limit.Error(), says) || !strings.Contains(limit.Error(), ": play ") {
			t.Errorf("%+v ends with %v", limits, err)
		}
	}
}
