package httpserver

import "encoding/json"

// Given is a word of a body that narrows what the request is about. It is left out, or it
// says something: an empty one is most likely a variable of the caller that was not set,
// and would reach everything.
type Given string

// UnmarshalJSON reads a string that is not empty; null is left out.
func (g *Given) UnmarshalJSON(b []byte) error {
	var text *string
	if err := json.Unmarshal(b, &text); err != nil || text == nil {
		return err
	}
	if *text == "" {
		return &ValueError{Says: "is empty: leave it out, or say which"}
	}
	*g = Given(*text)
	return nil
}
