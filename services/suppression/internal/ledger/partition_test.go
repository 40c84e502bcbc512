package ledger

import (
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

func TestPartitionOf_AgreesWithTheClient(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	client := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for range 10_000 {
		var k store.Key
		for i := range k {
			k[i] = byte(r.Uint32())
		}
		n := 1 + r.IntN(100)
		want := client.Partition(&kgo.Record{Key: []byte(k.String())}, n)
		if got := partitionOf(k, int32(n)); int(got) != want {
			t.Fatalf("%s of %d partitions: %d, the client says %d", k, n, got, want)
		}
	}
}
