package fate_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		want fate.Fate
	}{
		{"unclassified is retried", io.EOF, fate.Retry},
		{"wrapped keeps its fate", fmt.Errorf("insert batch: %w", fate.Wrap(fate.Halt, io.EOF)), fate.Halt},
		{"outermost wins", fate.Wrap(fate.DeadLetter, fate.Wrap(fate.Halt, io.EOF)), fate.DeadLetter},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := fate.Of(tc.err); got != tc.want {
				t.Errorf("Of(%v) = %v, want %v", tc.err, got, tc.want)
			}
			if !errors.Is(tc.err, io.EOF) {
				t.Errorf("%v hides its cause", tc.err)
			}
		})
	}
	if fate.Wrap(fate.Halt, nil) != nil {
		t.Error("Wrap(nil) is not nil")
	}
}
