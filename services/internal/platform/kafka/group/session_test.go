package group

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBegin_WaitsForTheClientItBelongsTo asks for the beginning while the client
// is still being made, as a quick broker does.
func TestBegin_WaitsForTheClientItBelongsTo(t *testing.T) {
	t.Parallel()
	s := newSession(&Consumer{cfg: Config{StartAt: time.Now}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	offsets := map[string]map[int32]kgo.Offset{"email.bounced": {0: kgo.NewOffset()}}
	if _, err := s.begin(ctx, offsets); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want it to have waited for the client", err)
	}
}
