package turn_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
	"github.com/mailstream/mailstream/services/internal/turn"
)

// server is a stand-in that remembers which statements came, and a client of it. What
// the statements mean is asked on the real engine.
func server(t *testing.T) (*clickhousetest.Server, *clickhouse.Client) {
	t.Helper()
	srv := clickhousetest.Start(t)
	free(srv)
	client, err := clickhouse.Open(srv.Config(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv, client
}

// steps are what a server was asked for, in order.
func steps(srv *clickhousetest.Server) (steps []string) {
	for _, req := range srv.Requests() {
		switch {
		case strings.Contains(req.Statement, "INSERT INTO turns"):
			steps = append(steps, "note")
		case strings.Contains(req.Statement, "FROM turns"):
			steps = append(steps, "look")
		}
	}
	return steps
}

// free and busy say whether another work has its turn.
func free(srv *clickhousetest.Server) { srv.Answer("FROM turns", []string{"work String"}) }
func busy(srv *clickhousetest.Server) {
	srv.Answer("FROM turns", []string{"work String"}, []any{"correcting"})
}

// Of two that begin at once each has noted its turn before it looks, so that at least
// one sees the other.
func TestTake_NotesBeforeItLooks(t *testing.T) {
	t.Parallel()
	srv, client := server(t)
	mine := turn.New(client, turn.Judging)
	if alone, err := mine.Take(t.Context(), time.Minute); err != nil || !alone {
		t.Errorf("alone %t, %v", alone, err)
	}
	busy(srv)
	if alone, err := mine.Take(t.Context(), time.Minute); err != nil || alone {
		t.Errorf("beside another work: alone %t, %v", alone, err)
	}
	if diff := cmp.Diff([]string{"note", "look", "note", "look"}, steps(srv)); diff != "" {
		t.Error(diff)
	}
}

func TestEnd_GivesUpWhatWasTakenAlsoAfterTheContext(t *testing.T) {
	t.Parallel()
	srv, client := server(t)
	mine := turn.New(client, turn.Correcting)
	if err := mine.End(t.Context()); err != nil || len(steps(srv)) != 0 {
		t.Errorf("a turn that was not taken: %v, %q", err, steps(srv))
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := mine.Take(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := mine.End(ctx); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"note", "look", "note"}, steps(srv)); diff != "" {
		t.Error(diff)
	}
}

// A look that fails may be after the note has reached the server: End takes it back.
func TestTake_ThatFailsIsEnded(t *testing.T) {
	t.Parallel()
	srv, client := server(t)
	srv.Fail(func(req clickhousetest.Request) clickhousetest.Fault {
		if strings.Contains(req.Statement, "SELECT DISTINCT work") {
			return clickhousetest.Fault{Code: 241} // MEMORY_LIMIT_EXCEEDED
		}
		return clickhousetest.Fault{}
	})
	mine := turn.New(client, turn.Judging)
	if _, err := mine.Take(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "look for works beside judging") {
		t.Errorf("got %v", err)
	}
	if err := mine.End(t.Context()); err != nil {
		t.Error(err)
	}
	if got := steps(srv); len(got) < 2 || got[len(got)-1] != "note" {
		t.Errorf("steps %q", got)
	}
}

func TestAwait_LooksUntilNobodyElseHasATurn(t *testing.T) {
	t.Parallel()
	srv, client := server(t)
	busy(srv)
	var looks atomic.Int32
	srv.Fail(func(req clickhousetest.Request) clickhousetest.Fault {
		if strings.Contains(req.Statement, "SELECT DISTINCT work") {
			if looks.Add(1) == 3 {
				go free(srv) // which waits for this request
			}
		}
		return clickhousetest.Fault{}
	})
	if err := turn.New(client, turn.Correcting).Await(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := steps(srv); len(got) < 6 || got[0] != "note" || got[len(got)-1] != "look" {
		t.Errorf("steps %q, want three looks or more, each after a note", got)
	}
	busy(srv)
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	cancel(over)
	if err := turn.New(client, turn.Correcting).Await(ctx, time.Minute); !errors.Is(err, over) && !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
}
