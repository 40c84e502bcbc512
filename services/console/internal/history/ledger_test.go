package history

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// hoursOf are n hours in a row, each with a seal.
func hoursOf(n int) []hourState {
	list := make([]hourState, n)
	for i := range list {
		list[i] = hourState{Hour: time.Unix(int64(i)*3600, 0).UTC(), Seal: uint64(i + 1), Rows: 10}
	}
	return list
}

// cellsOf are n counts of each of some hours.
func cellsOf(hours []hourState, n int) (cells []cell) {
	for _, h := range hours {
		for i := range n {
			cells = append(cells, cell{Hour: h.Hour, Source: "shop", Type: "delivered", MailboxProvider: fmt.Sprint(i), Events: 1})
		}
	}
	return cells
}

// TestLedger_ReadsAnHourAgainWhenItHasChanged has each way in which the counts of an hour
// end to hold.
func TestLedger_ReadsAnHourAgainWhenItHasChanged(t *testing.T) {
	t.Parallel()
	sealed := hourState{Hour: time.Unix(0, 0), Seal: 7, Rows: 10}
	quiet := hourState{Hour: time.Unix(0, 0), Rows: 10, Quiet: true}
	for name, tc := range map[string]struct {
		kept, now hourState
		cells     int
		later     time.Duration
		holds     bool
	}{
		"nothing came":                       {sealed, sealed, 1, time.Hour, true},
		"counted for good anew":              {sealed, hourState{Hour: sealed.Hour, Seal: 8, Rows: 11}, 1, 0, false},
		"a late event, at rest again":        {sealed, hourState{Hour: sealed.Hour, Rows: 11, Quiet: true}, 1, 0, false},
		"at rest, nothing came":              {quiet, quiet, 1, time.Hour, true},
		"at rest, then a repeat":             {quiet, hourState{Hour: quiet.Hour, Rows: 11, Quiet: true}, 1, 0, false},
		"at rest, then counted for good":     {quiet, sealed, 1, 0, false},
		"no counts of an hour that has rows": {sealed, sealed, 0, 0, true},
		"and so for a while":                 {sealed, sealed, 0, ledgerDoubt, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := New(nil, false, nil)
			now := time.Unix(1_000_000, 0)
			r.answers.now = func() time.Time { return now }
			if err := r.ledger.keep([]hourState{tc.kept}, cellsOf([]hourState{tc.kept}, tc.cells)); err != nil {
				t.Fatal(err)
			}
			now = now.Add(tc.later)
			if all, missing := r.ledger.known([]hourState{tc.now}); (len(missing) == 0) != tc.holds || len(all)+len(missing) != 1 {
				t.Errorf("known %v, missing %v", all, missing)
			}
		})
	}
}

func TestLedger_KeepsABoundedNumber(t *testing.T) {
	t.Parallel()
	l := New(nil, false, nil).ledger
	hours := hoursOf(40)
	for _, h := range hours {
		if err := l.keep([]hourState{h}, cellsOf([]hourState{h}, ledgerCellsMax/10)); err != nil {
			t.Fatal(err)
		}
		kept := 0
		for _, p := range l.pages {
			kept += len(p.cells)
		}
		if kept != l.cells || kept > ledgerCellsMax {
			t.Fatalf("%d counts are kept and %d are known to be, want at most %d", kept, l.cells, ledgerCellsMax)
		}
	}
	if _, missing := l.known(hours[len(hours)-1:]); len(missing) != 0 {
		t.Error("the latest hour is not kept")
	}
	if err := l.keep(hours, cellsOf(hours[:1], ledgerCellsMax+1)); !errors.Is(err, errBeyond) {
		t.Errorf("an hour that is larger than all may be: %v", err)
	}
}
