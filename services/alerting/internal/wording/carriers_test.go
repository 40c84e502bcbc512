package wording

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

func TestCarriers_StandBesideTheWeekBeforeAndSayOfHowMany(t *testing.T) {
	t.Parallel()
	c := schemas.AlertCarrier{Dimension: "sending_ip", Value: "192.0.2.1", Bad: 20, Of: 25, OfBad: 0.8, OfVolume: 0.1}
	with := func(b *schemas.AlertCarrierBefore) schemas.AlertCarrier { c := c; c.Before = b; return c }
	const now = "sending ip 192.0.2.1: 80 % of these messages (20), 10 % of the volume"
	got := Writer{Markup: Text{}}.carrierLines("block_rate", []schemas.AlertCarrier{
		c, with(&schemas.AlertCarrierBefore{}), with(&schemas.AlertCarrierBefore{Total: 50, OfVolume: 0.12}),
		with(&schemas.AlertCarrierBefore{Bad: 3, Total: 50, OfBad: 0.06, OfVolume: 0.12}),
	})
	want := []string{now, now + "; a week before nothing", now + "; a week before none, with 12 % of the volume", now + "; a week before 6 % (3), with 12 % of the volume"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for blocked, want := range map[int64]string{25: "", 24: "", 40: "as of the 25 of 40 that were stored when it was asked"} {
		f := schemas.AlertFacts{Carriers: []schemas.AlertCarrier{c}, Counts: schemas.AlertCounts{Blocked: blocked}}
		if got := carriersCover(&f); got != want {
			t.Errorf("of %d: %q, want %q", blocked, got, want)
		}
	}
}
