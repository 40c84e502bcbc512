package subject

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// The audit is the proof of who forgot whom: a request that is refused is not in it, and
// one that cannot be noted does nothing.
func TestForget_NotesWhatIsValid(t *testing.T) {
	t.Parallel()
	hasher, err := address.NewHasher(config.Literal("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range AddressesMax + 1 {
		many = append(many, fmt.Sprintf("u%d@example.com", i))
	}
	away := errors.New("the audit cannot be written")
	for _, tc := range []struct {
		forget Forget
		want   error
		noted  int
	}{
		{Forget{Addresses: []string{"ana@example.com", "nonsense"}}, ErrAddress, 0},
		{Forget{Addresses: []string{"ana@example.com"}, Reason: "of bob@example.com"}, ErrReason, 0},
		{Forget{Addresses: []string{"ana@example.com"}, Reason: "of bob%2540example.com"}, ErrReason, 0},
		{Forget{Addresses: many}, ErrTooMany, 0},
		{Forget{Addresses: []string{"ana@example.com"}, Reason: "request 4711"}, away, 1},
	} {
		noted := 0
		tc.forget.Note = func(context.Context) error { noted++; return away }
		if _, err := tc.forget.Run(t.Context(), Deps{Hasher: hasher}); !errors.Is(err, tc.want) || noted != tc.noted {
			t.Errorf("%v, noted %d times; want %v, %d", err, noted, tc.want, tc.noted)
		}
	}
}
