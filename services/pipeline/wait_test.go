package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/pipeline"
)

func TestInsist_WaitsForAServerThatIsNotUpYet(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	for _, tc := range []struct {
		name string
		up   time.Duration // when the server answers
		wait time.Duration
		err  error // of the attempts before
		want bool  // it ends well
		took time.Duration
	}{
		{"there from the start", 0, time.Minute, away, true, 0},
		{"a while later", 20 * time.Second, time.Minute, away, true, 20 * time.Second},
		{"too late", time.Hour, time.Minute, away, false, time.Minute},
		{"asked not to wait", time.Hour, 0, away, false, 0},
		{"waiting does not cure", time.Hour, time.Minute, fate.Wrap(fate.Halt, away), false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				core, lines := observer.New(zapcore.InfoLevel)
				began := time.Now()
				err := pipeline.Insist(t.Context(), tc.wait, zap.New(core), func(context.Context) error {
					if time.Since(began) >= tc.up {
						return nil
					}
					return tc.err
				})
				if (err == nil) != tc.want || err != nil && !errors.Is(err, away) {
					t.Errorf("Insist = %v, want success %v", err, tc.want)
				}
				const slack = 5 * time.Second // one delay
				if took := time.Since(began); took < tc.took || took > tc.took+slack {
					t.Errorf("it took %s, want about %s", took, tc.took)
				}
				if n, most := lines.Len(), int(tc.took/(10*time.Second))+2; n > most {
					t.Errorf("%d lines, want at most %d", n, most)
				}
			})
		})
	}
}
