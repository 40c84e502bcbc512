package schemas

import "time"

// OperationState is how far an Operation is.
type OperationState string

// The states. All but OperationRunning are final.
const (
	OperationRunning OperationState = "running"
	OperationDone    OperationState = "done"
	OperationStopped OperationState = "stopped" // a person asked for it
	OperationCut     OperationState = "cut"     // the process that did it ended, or gave way to another operation
	OperationFailed  OperationState = "failed"  // see Error
)

// The kinds of Operation.
const (
	OperationRedrive = "redrive" // makes events of dead letters, and publishes them
	OperationDiscard = "discard" // closes dead letters that are of no use
)

// Operation is work on many dead letters that a person asked for: the value of a record
// in OperationsTopic, keyed by ID. Who does it writes it anew at least every ten seconds
// while it runs; one that runs and was not written for a minute was cut. What it did
// stays done, and the same work may be started once more.
type Operation struct {
	ID     string           `json:"id"`
	Kind   string           `json:"kind"` // OperationRedrive or OperationDiscard
	State  OperationState   `json:"state"`
	Filter DeadLetterFilter `json:"filter"` // of the open ones
	Rate   int              `json:"rate"`   // dead letters a second, at most
	By     string           `json:"by"`     // who asked for it
	Note   string           `json:"note,omitempty"`
	// StopBy is who asked to stop it.
	StopBy    string    `json:"stop_by,omitempty"`
	StartedAt time.Time `json:"started_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Found   int64            `json:"found"`   // open ones when it began
	Letters int64            `json:"letters"` // looked at
	Passed  int64            `json:"passed"`  // redriven or discarded
	Events  int64            `json:"events"`  // of those redriven
	Failed  int64            `json:"failed"`  // stay open
	Faults  map[string]int64 `json:"faults,omitempty"`
	Error   string           `json:"error,omitempty"`
}

// DeadLetterFilter is which dead letters; an empty field means all.
type DeadLetterFilter struct {
	IDs      []string  `json:"ids,omitempty"`
	Service  string    `json:"service,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Provider string    `json:"provider,omitempty"`
	Source   string    `json:"source,omitempty"`
	State    string    `json:"state,omitempty"` // open, redriven or discarded
	From     time.Time `json:"from,omitzero"`   // when it was given up, inclusive
	To       time.Time `json:"to,omitzero"`     // exclusive
}
