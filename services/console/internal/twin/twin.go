// Package twin has the forms that the JSON twins of the pages share. It holds no page.
package twin

import "encoding/json"

// List is a list that is always there: JSON has [] of none, where a nil slice is null.
type List[T any] []T

// MarshalJSON writes a list, also of nil.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}
