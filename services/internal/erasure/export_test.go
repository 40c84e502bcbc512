package erasure

import "github.com/twmb/franz-go/pkg/kgo"

// Check reads one record as Run does.
func Check(r *kgo.Record) error {
	_, err := decode([]*kgo.Record{r})
	return err
}
