package slow

import "testing"

// Where more than two thirds are bad nobody's share of that is 1.5 times their share of
// all mail, so there the others are what somebody is compared with.
func TestCarries_NamesWhoStandsOutOfASpikeThatIsHigh(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ofBad, ofVolume float64
		want            bool
	}{
		"all of 60 %":                        {1, 0.60, true},
		"all of 84 %, the others none":       {1, 0.84, true},
		"almost all, the others few":         {0.95, 0.80, true},
		"as bad as the others":               {0.84, 0.84, false},
		"twice as bad as the others":         {0.8, 2.0 / 3, false},
		"less than a quarter":                {0.2, 0.05, false},
		"a quarter of a tenth":               {0.25, 0.1, true},
		"nobody else":                        {1, 1, false},
		"hardly anybody else":                {1, 0.95, false},
		"bad messages whose mail was before": {0.5, 0, true},
	} {
		if got := carries(tt.ofBad, tt.ofVolume); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
