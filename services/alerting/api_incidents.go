package alerting

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// notesMax bounds the notes about one incident.
	notesMax = 100
	// acksMax bounds the acknowledgements of one incident that are kept, the latest.
	acksMax = 10
)

// incidentAnswer is the body of GET /v1/incidents/{id}.
type incidentAnswer struct {
	Incident string                 `json:"incident"`
	Alert    schemas.Alert          `json:"alert"`
	Acks     []schemas.AlertAck     `json:"acknowledgements"` // the latest last: it holds
	Silences []schemas.AlertSilence `json:"silences"`         // those that matched while it lasted
	Notes    []schemas.AlertNote    `json:"notes"`
	Timeline []entry                `json:"timeline"` // oldest first
}

// The kinds of entries beside those of steps.
const (
	entryReading = "reading"
	entryNote    = "note"
)

// answerWaiting says of a message that it was not tried yet.
const answerWaiting = "waiting"

// entry is one line of a timeline.
type entry struct {
	schemas.AlertStep
	Value  *float64             `json:"value,omitempty"`
	Counts *schemas.AlertCounts `json:"counts,omitempty"`
}

// incident returns the latest record of an incident, which may be over and followed
// by another one of the same alert.
func (a api) incident(id string) (schemas.Alert, bool) {
	if found := a.book.All(func(alert *schemas.Alert) bool { return alert.Incident == id }); len(found) > 0 {
		return found[0], true
	}
	return a.controls.Ended(id)
}

// find returns the incident of the path. It answers by itself when there is none.
func (a api) find(w http.ResponseWriter, r *http.Request) (alert schemas.Alert, ok bool) {
	if !a.ready(w) {
		return alert, false
	}
	if alert, ok = a.incident(r.PathValue("id")); !ok {
		httpserver.Problem(w, http.StatusNotFound, "not found", "there is no incident of this id; what ended is kept for 30 days")
	}
	return alert, ok
}

// showIncident shows an incident with all that happened to it.
func (a api) showIncident(w http.ResponseWriter, r *http.Request) {
	if _, ok := httpserver.Query(w, r); !ok {
		return
	}
	alert, ok := a.find(w, r)
	if !ok {
		return
	}
	id := alert.Incident
	out := incidentAnswer{
		Incident: id, Acks: append([]schemas.AlertAck{}, a.controls.Acks(id)...),
		Silences: a.controls.Matching(&alert), Notes: a.controls.Notes(id),
	}
	out.Timeline = timeline(&alert, out.Acks, out.Notes)
	out.Alert = alert
	a.complete(&out.Alert)
	show(w, http.StatusOK, out)
}

// timeline puts what the record and people say of an incident into one order.
func timeline(a *schemas.Alert, acks []schemas.AlertAck, notes []schemas.AlertNote) []entry {
	entries := make([]entry, 0, len(a.Steps)+len(a.Readings)+len(acks)+len(notes))
	for _, s := range a.Steps {
		if s.Kind != schemas.StepAcknowledged || len(acks) == 0 { // the controls say it first
			entries = append(entries, entry{AlertStep: s})
		}
	}
	for _, r := range a.Readings {
		entries = append(entries, entry{AlertStep: schemas.AlertStep{At: r.At, Kind: entryReading}, Value: &r.Value, Counts: &r.Counts})
	}
	for _, n := range a.Notify {
		if n.Owed() && n.LastAnswer == "" && !n.QueuedAt.Before(a.Since) {
			entries = append(entries, entry{AlertStep: schemas.AlertStep{
				At: n.QueuedAt, Kind: schemas.StepMessage, Receiver: n.Receiver, Detail: n.Kind, Answer: answerWaiting,
			}})
		}
	}
	for _, k := range acks {
		entries = append(entries, entry{AlertStep: schemas.AlertStep{At: k.At, Kind: schemas.StepAcknowledged, By: k.By, Detail: k.Note}})
	}
	for _, n := range notes {
		entries = append(entries, entry{AlertStep: schemas.AlertStep{At: n.At, Kind: entryNote, By: n.By, Detail: n.Note}})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.At.Compare(b.At) })
	return entries
}

// saidBody is what people say of an incident.
type saidBody struct {
	By   string `json:"by"`
	Note string `json:"note"`
}

// said reads the body of a call about the incident of the path.
func (a api) said(w http.ResponseWriter, r *http.Request) (id string, body saidBody, ok bool) {
	if _, ok = httpserver.Query(w, r); !ok {
		return id, body, false
	}
	if !httpserver.Body(w, r, &body, bodyMax) {
		return id, body, false
	}
	alert, ok := a.find(w, r)
	return alert.Incident, body, ok
}

// acknowledge notes who takes care of an incident.
func (a api) acknowledge(w http.ResponseWriter, r *http.Request) {
	id, body, ok := a.said(w, r)
	if !ok {
		return
	}
	var faults config.Problems
	ack := controls.NewAck(schemas.AlertAck{Incident: id, By: body.By, Note: body.Note}, a.now(), &faults)
	if httpserver.Refused(w, &faults) {
		return
	}
	acks := append(slices.Clone(a.controls.Acks(id)), ack)
	acks = acks[max(0, len(acks)-acksMax):]
	if !a.put(w, r, schemas.AlertControl{Acks: acks}, audit.Entry{By: ack.By, Action: "incident.ack", Object: id, Note: ack.Note}) {
		return
	}
	a.log.Info("incident was acknowledged", telemetry.Incident(id), telemetry.By(ack.By))
	show(w, http.StatusOK, struct {
		Acknowledged schemas.AlertAck `json:"acknowledged"`
	}{ack})
}

// addNote keeps what somebody writes about an incident.
func (a api) addNote(w http.ResponseWriter, r *http.Request) {
	id, body, ok := a.said(w, r)
	if !ok {
		return
	}
	var faults config.Problems
	note := controls.NewNote(schemas.AlertNote{Incident: id, By: body.By, Note: body.Note}, a.now(), &faults)
	if httpserver.Refused(w, &faults) {
		return
	}
	if len(a.controls.Notes(id)) >= notesMax {
		httpserver.Problem(w, http.StatusConflict, "too many notes", fmt.Sprintf("the incident has %d, which is the limit", notesMax))
		return
	}
	if !a.put(w, r, schemas.AlertControl{Note: &note}, audit.Entry{By: note.By, Action: "incident.notes", Object: id, Note: note.Note}) {
		return
	}
	a.log.Info("note was added to an incident", telemetry.Incident(id), telemetry.Name(note.ID), telemetry.By(note.By))
	show(w, http.StatusCreated, struct {
		ID string `json:"id"`
	}{note.ID})
}
