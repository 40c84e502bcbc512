package alerting

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// previewSpan is how far back a new silence is tried.
	previewSpan = 7 * 24 * time.Hour
	// silencesMax bounds the silences that hold or are to come: every alert that
	// fires is compared with each of them, once a second.
	silencesMax = 500
)

// silenceBody is what POST /v1/silences takes.
type silenceBody struct {
	Matchers matchersBody `json:"matchers"`
	Since    time.Time    `json:"since"`
	Until    time.Time    `json:"until"`
	By       string       `json:"by"`
	Comment  string       `json:"comment"`
}

func (b silenceBody) asked() schemas.AlertSilence {
	return schemas.AlertSilence{Matchers: b.Matchers, Since: b.Since, Until: b.Until, By: b.By, Comment: b.Comment}
}

// matchersBody are the matchers of a body, which names every member that it does not
// know or cannot take.
type matchersBody []schemas.AlertMatcher

// faultsMax bounds the faults of matchers that one answer names.
const faultsMax = 20

// UnmarshalJSON reads an array of objects of strings.
func (b *matchersBody) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	var faults []string
	for i, one := range list {
		m, said := readMatcher(one)
		for _, fault := range said {
			if len(list) > 1 {
				fault = fmt.Sprintf("[%d] %s", i, fault)
			}
			faults = append(faults, fault)
		}
		*b = append(*b, m)
	}
	if len(faults) > 0 {
		return &httpserver.ValueError{Says: strings.Join(faults[:min(len(faults), faultsMax)], "; ")}
	}
	return nil
}

// readMatcher reads one matcher and says everything that is wrong with it.
func readMatcher(text []byte) (m schemas.AlertMatcher, faults []string) {
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return m, []string{`must have objects with "label", "op" and "value"`}
	}
	fields := map[string]*string{"label": &m.Label, "op": &m.Op, "value": &m.Value}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field, known := fields[name]
		said, isText := members[name].(string)
		switch {
		case !known:
			faults = append(faults, fmt.Sprintf("has an unknown member %.64q: want label, op, value", name))
		case !isText:
			faults = append(faults, fmt.Sprintf("has a member %q that is not a string", name))
		default:
			*field = said
		}
	}
	return m, faults
}

// silenceAnswer is the body of 201; of a dry run it has no id.
type silenceAnswer struct {
	ID           string `json:"id,omitempty"`
	WouldHaveHit int    `json:"would_have_hit"`
}

// addSilence keeps a silence and says how many incidents of the last week it would
// have hit. With dry_run=true it only says so.
func (a api) addSilence(w http.ResponseWriter, r *http.Request) {
	q, ok := httpserver.Query(w, r, "dry_run")
	if !ok {
		return
	}
	if dry := q.Get("dry_run"); q.Has("dry_run") && dry != "true" && dry != "false" {
		httpserver.Problem(w, http.StatusBadRequest, "bad request", `parameter "dry_run" must be true or false`)
		return
	}
	var body silenceBody
	if !a.ready(w) || !httpserver.Body(w, r, &body, bodyMax) {
		return
	}
	now := a.now()
	var faults config.Problems
	silence := controls.NewSilence(body.asked(), now, &faults)
	if httpserver.Refused(w, &faults) {
		return
	}
	hit := a.wouldHaveHit(controls.Compile(silence.Matchers, &faults), now)
	if q.Get("dry_run") == "true" {
		show(w, http.StatusOK, silenceAnswer{WouldHaveHit: hit})
		return
	}
	if a.open(now) >= silencesMax {
		httpserver.Problem(w, http.StatusConflict, "too many silences", fmt.Sprintf("%d hold or are to come, which is the limit: end some, or match more with one", silencesMax))
		return
	}
	if !a.put(w, r, schemas.AlertControl{Silence: &silence}, audit.Entry{By: silence.By, Action: "silence.add", Object: silence.ID, Note: silence.Comment}) {
		return
	}
	a.log.Info("silence was added", telemetry.Name(silence.ID), telemetry.By(silence.By), telemetry.Until(silence.Until))
	show(w, http.StatusCreated, silenceAnswer{ID: silence.ID, WouldHaveHit: hit})
}

// open returns how many silences hold or are to come.
func (a api) open(now time.Time) (n int) {
	for _, s := range a.controls.Silences() {
		if now.Before(s.Until) {
			n++
		}
	}
	return n
}

// wouldHaveHit counts the incidents of the last week that m matches.
func (a api) wouldHaveHit(m controls.Matchers, now time.Time) int {
	hit := map[string]bool{}
	note := func(alert *schemas.Alert) {
		shown := alert.State != schemas.AlertPending && alert.Ended != schemas.EndLapsed
		recent := alert.ResolvedAt.IsZero() || now.Sub(alert.ResolvedAt) <= previewSpan
		if shown && recent && m.Match(alert) {
			hit[alert.Incident] = true
		}
	}
	a.controls.EndedAll(note)
	a.book.All(func(alert *schemas.Alert) bool { note(alert); return false })
	return len(hit)
}

// The states of a silence.
const (
	silencePending = "pending"
	silenceActive  = "active"
	silenceOver    = "over"
)

// silenceShown is one entry of GET /v1/silences.
type silenceShown struct {
	schemas.AlertSilence
	State string `json:"state"`
}

// silencesAnswer is the body of GET /v1/silences.
type silencesAnswer struct {
	Silences    []silenceShown         `json:"silences"`
	Maintenance []controls.WindowState `json:"maintenance"`
}

// listSilences shows silences, the latest first, and the maintenance windows.
func (a api) listSilences(w http.ResponseWriter, r *http.Request) {
	q, ok := httpserver.Query(w, r, "state")
	if !ok || !a.ready(w) {
		return
	}
	states := strings.Split(q.Get("state"), ",")
	for _, s := range states {
		if q.Has("state") && s != silencePending && s != silenceActive && s != silenceOver {
			httpserver.Problem(w, http.StatusBadRequest, "bad request", `parameter "state" must be pending, active or over`)
			return
		}
	}
	now := a.now()
	out := silencesAnswer{Silences: []silenceShown{}, Maintenance: a.controls.Windows(now)}
	for _, s := range a.controls.Silences() {
		if state := silenceState(s, now); !q.Has("state") || slices.Contains(states, state) {
			out.Silences = append(out.Silences, silenceShown{s, state})
		}
	}
	show(w, http.StatusOK, out)
}

func silenceState(s schemas.AlertSilence, now time.Time) string {
	switch {
	case controls.Holds(&s, now):
		return silenceActive
	case now.Before(s.Until):
		return silencePending
	default:
		return silenceOver
	}
}

// removeSilence ends a silence now; what it hid and still fires is reported. To end it
// a second time changes nothing.
func (a api) removeSilence(w http.ResponseWriter, r *http.Request) {
	q, ok := httpserver.Query(w, r, "by")
	if !ok || !a.ready(w) {
		return
	}
	silence, known := a.controls.Silence(r.PathValue("id"))
	if !known {
		httpserver.Problem(w, http.StatusNotFound, "not found", "there is no silence of this id")
		return
	}
	now := a.now()
	var faults config.Problems
	removed := controls.Remove(silence, q.Get("by"), now, &faults)
	if httpserver.Refused(w, &faults) {
		return
	}
	if now.Before(silence.Until) {
		if !a.put(w, r, schemas.AlertControl{Silence: &removed}, audit.Entry{By: removed.RemovedBy, Action: "silence.end", Object: removed.ID}) {
			return
		}
		a.log.Info("silence was ended", telemetry.Name(removed.ID), telemetry.By(removed.RemovedBy))
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}
