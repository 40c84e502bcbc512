package schemas

import "time"

// Drift is something that a provider sends and its package does not know, and when any
// ingress first met it: the value of a record in DriftTopic, keyed by Key. Of two records
// of a key the earlier FirstSeen holds. It is made of names alone, and has no address.
type Drift struct {
	Provider string `json:"provider"`
	Kind     string `json:"kind"` // unknown_event, unknown_field, wrong_type or bad_time
	// Path is where it is in an item, such as data.to[].name with [] for an array, or the
	// provider's word for an event; "(unprintable)" for all that do not look like a name.
	Path      string    `json:"path"`
	FirstSeen time.Time `json:"first_seen"`
}

// Key returns the key of the record.
func (d Drift) Key() string { return d.Provider + "/" + d.Kind + "/" + d.Path }
