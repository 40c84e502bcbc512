package seed_test

import (
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/suppression/internal/store"
	"github.com/mailstream/mailstream/services/suppression/seed"
)

func TestFill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const entries = 25_000
	err := seed.Fill(t.Context(), seed.Options{
		StateDir: dir, TopicID: "topic", Pepper: "pepper-of-the-seed-test", Entries: entries,
		Address: func(i int) string { return fmt.Sprintf("u%d@example.com", i) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Topic: "topic", Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != entries {
		t.Errorf("%d addresses, want %d", s.Len(), entries)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
