package api

import (
	"encoding/json"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// given is a word that narrows a request. It is left out, or it says something: an
// empty one is most likely a variable of the caller that was not set, and would
// reach the whole account.
type given string

// UnmarshalJSON reads a string that is not empty; null is left out.
func (g *given) UnmarshalJSON(b []byte) error {
	var text *string
	if err := json.Unmarshal(b, &text); err != nil || text == nil {
		return err
	}
	if *text == "" {
		return &httpserver.ValueError{Says: "is empty: leave it out, or say which"}
	}
	*g = given(*text)
	return nil
}
