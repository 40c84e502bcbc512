package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
)

func TestToken(t *testing.T) {
	t.Parallel()
	epoch := ledger.NewEpoch("topic")
	one := ledger.Position{Partition: 3, Offset: 17}
	two := ledger.Position{Partition: 11, Offset: -1}
	tests := []struct {
		name, text string
		want       []ledger.Position
		err        error
	}{
		{"none", "", nil, nil},
		{"one", epoch.Token(one), []ledger.Position{one}, nil},
		{"two positions", epoch.Token(one, two), []ledger.Position{one, two}, nil},
		{"two tokens", epoch.Token(one) + " " + epoch.Token(two), []ledger.Position{one, two}, nil},
		{"another topic", ledger.NewEpoch("other").Token(one), nil, ledger.ErrForeignToken},
		{"rubbish", "rubbish", nil, ledger.ErrToken},
		{"no offset", string(epoch) + ":3", nil, ledger.ErrToken},
		{"negative partition", string(epoch) + ":-3@1", nil, ledger.ErrToken},
		{"huge partition", string(epoch) + ":4294967296@1", nil, ledger.ErrToken},
		{"offset before the first", string(epoch) + ":3@-2", nil, ledger.ErrToken},
		{"too many", epoch.Token(one) + strings.Repeat(" "+epoch.Token(two), 64), nil, ledger.ErrToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := epoch.ParseToken(tt.text)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("positions (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseToken(f *testing.F) {
	epoch := ledger.NewEpoch("topic")
	f.Add(epoch.Token(ledger.Position{Partition: 3, Offset: 17}))
	f.Add(string(epoch) + ":1@-1,2@9223372036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := epoch.ParseToken(text)
		if err != nil || len(got) == 0 {
			return
		}
		again, err := epoch.ParseToken(epoch.Token(got...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
	})
}
