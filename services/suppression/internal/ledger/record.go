package ledger

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// errNotSuppression says that a value is not a schemas.Suppression in JSON.
var errNotSuppression = errors.New("decode suppression: the value is not a suppression")

// encode returns the record of one state.
func encode(topic string, s schemas.Suppression) (*kgo.Record, error) {
	value, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode suppression: %w", err)
	}
	return &kgo.Record{
		Topic: topic, Key: []byte(s.Hash), Value: value,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)}},
	}, nil
}

func decodeValue(value []byte) (s schemas.Suppression, err error) {
	s, usual := decodeUsual(value)
	if !usual {
		s = schemas.Suppression{}
		if json.Unmarshal(value, &s) != nil { // its words may quote an address
			return s, errNotSuppression
		}
	}
	return s, nil
}

// decode returns what the record says about its key. A null value is a purge:
// the address is to be erased altogether.
func decode(r *kgo.Record) (store.Update, error) {
	key, err := store.ParseKey(string(r.Key))
	if err != nil {
		return store.Update{}, fmt.Errorf("decode key: %w", err)
	}
	u := store.Update{Key: key, FromTopic: true, Purge: r.Value == nil}
	if u.Purge {
		return u, nil
	}
	if u.State, err = decodeValue(r.Value); err != nil {
		return store.Update{}, err
	}
	if u.State.Hash != key.String() {
		return store.Update{}, fmt.Errorf("decode suppression: its hash is not its key: %w", store.ErrNotHash)
	}
	u.State = list.Tidy(u.State)
	return u, nil
}
