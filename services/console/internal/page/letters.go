package page

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

type lettersData struct {
	Now     time.Time                  `json:"now"`
	Source  string                     `json:"source,omitempty"`
	Groups  twin.List[history.Letters] `json:"groups"`
	Cut     bool                       `json:"cut"`
	Samples bool                       `json:"samples"` // the reader's role may see them
	Known   bool                       `json:"-"`
	// Operations are the latest ones, of the console and of commands.
	Operations twin.List[schemas.Operation] `json:"operations"`
	Can        bool                         `json:"can_operate"` // analytics takes operations
	Plan       *lettersPlan                 `json:"plan,omitempty"`
}

// Running says whether an operation is under way.
func (d lettersData) Running() bool {
	for _, op := range d.Operations {
		if op.State == schemas.OperationRunning {
			return true
		}
	}
	return false
}

// lettersPlan is what an operation would do.
type lettersPlan struct {
	Kind    string           `json:"kind"`
	Letters int64            `json:"letters"`
	Passed  int64            `json:"passed"`
	Events  int64            `json:"events"`
	Failed  int64            `json:"failed"`
	Faults  map[string]int64 `json:"faults"`
	Cut     bool             `json:"cut"`
}

// operationsShown is how many operations the page has.
const operationsShown = 10

func (s *Site) deadLetters(v *visit) (view, error) {
	q, err := v.only("source", "done")
	if err != nil {
		return view{}, err
	}
	source := q.Get("source")
	d := s.letters(v, source)
	if source != "" && d.Known && len(d.Groups) == 0 && !s.configured(source) {
		return view{}, notFound(fmt.Sprintf("No source is called %.64q, and there is no dead letter of one.", source))
	}
	return view{name: "deadletters", title: "Dead letters", data: d}, nil
}

// letters loads the page.
func (s *Site) letters(v *visit, source string) lettersData {
	samples := v.user.May(auth.Support) && v.Header.Get("HX-Request") == "" // what follows an operation shows none
	d := lettersData{Now: s.Now().UTC(), Source: source, Samples: samples, Can: s.Analytics.Configured()}
	var (
		groups                 []history.Letters
		answer                 struct{ Operations []schemas.Operation }
		groupsErr, operateErrs error
	)
	parts := parallel{}
	parts.add(func(ctx context.Context) { groups, d.Cut, groupsErr = s.History.DeadLetters(ctx, d.Source) })
	if d.Can {
		parts.add(func(ctx context.Context) {
			operateErrs = s.Analytics.Get(ctx, "/v1/dead-letters/operations", &answer)
		})
	}
	parts.run(v.Context())
	d.Known = !s.notice(v, partClickHouse, groupsErr)
	s.notice(v, partAnalytics, operateErrs)
	d.Groups = append(d.Groups, groups...)
	d.Operations = append(d.Operations, answer.Operations[:min(len(answer.Operations), operationsShown)]...)
	if !v.user.May(roleWhole) {
		for i := range d.Operations {
			d.Operations[i].Note, d.Operations[i].Error = Redact(d.Operations[i].Note), Redact(d.Operations[i].Error)
		}
	}
	whole := s.noteSamples(v, d)
	for i := range d.Groups {
		switch {
		case !d.Samples:
			d.Groups[i].Sample = ""
		case !whole:
			d.Groups[i].Sample = Redact(d.Groups[i].Sample)
		}
		d.Groups[i].Detail = Redact(d.Groups[i].Detail)
	}
	return d
}

// noteSamples says whether the samples may be shown with the addresses in them. Who sees
// some is written down before.
func (s *Site) noteSamples(v *visit, d lettersData) bool {
	if !d.Samples || !v.user.May(roleWhole) {
		return false
	}
	people := 0
	for i := range d.Groups {
		if d.Groups[i].Sample != Redact(d.Groups[i].Sample) {
			people++
		}
	}
	if people == 0 {
		return true
	}
	err := s.Trail.Note(v.Context(), Entry{By: v.user, Action: "dead_letters.view", Object: d.Source, Note: count(people, "sample") + " with addresses"})
	s.notice(v, partKafka, err)
	return err == nil
}

// redrive has analytics make events of the dead letters of one kind.
func (s *Site) redrive(v *visit) (view, error) {
	return s.operate(v, schemas.OperationRedrive, "redriven")
}

// discard has analytics close the dead letters of one kind.
func (s *Site) discard(v *visit) (view, error) {
	return s.operate(v, schemas.OperationDiscard, "discarded")
}

// operate begins an operation on the dead letters of one kind, or says what it would do.
func (s *Site) operate(v *visit, kind, done string) (view, error) {
	note, err := v.text("note")
	if err != nil {
		return view{}, err
	}
	reason, service := v.PostForm.Get("reason"), v.PostForm.Get("service")
	if reason == "" || service == "" {
		return view{}, badInput("It is not said which dead letters.", "Send service and reason, as the forms of the page do; nothing was changed.")
	}
	if kind == schemas.OperationDiscard && note == "" {
		return view{}, badInput("To discard needs a note: why are they of no use?", "Write why; nothing was changed.").of("note")
	}
	if !s.Analytics.Configured() {
		return view{}, fault{Status: http.StatusServiceUnavailable, Title: "This is done by a command", Detail: "No token lets the console in at analytics (console.analytics.token).", Next: "Run `mailstream dead-letters " + kind + "` on a host that may; nothing was changed."}
	}
	dry, err := v.choice("dry_run", "true", "false")
	if err != nil {
		return view{}, err
	}
	if err := s.waits(v, service, reason); err != nil {
		return view{}, err
	}
	body := map[string]any{"service": service, "reason": reason, "by": cmp.Or(v.user.Name, "console"), "note": note, "dry_run": dry == "true"}
	for _, name := range []string{"provider", "source"} {
		if word := v.PostForm.Get(name); word != "" {
			body[name] = word
		}
	}
	path := "/v1/dead-letters/" + kind
	if dry == "true" {
		plan := lettersPlan{Kind: kind, Faults: map[string]int64{}}
		if err := s.Analytics.Ask(v.Context(), path, body, &plan); err != nil {
			return view{}, err
		}
		d := s.letters(v, "")
		d.Plan = &plan
		return view{name: "deadletters", title: "Dead letters", data: d}, nil
	}
	var op schemas.Operation
	err = s.Analytics.Send(v.Context(), http.MethodPost, path, body, &op)
	return view{goTo: "/dead-letters?done=" + done, data: op}, err
}

// waits refuses an operation on what ClickHouse, where it answers, has no dead letter of.
func (s *Site) waits(v *visit, service, reason string) error {
	source := v.PostForm.Get("source")
	groups, cut, err := s.History.DeadLetters(v.Context(), source)
	if err != nil || cut || slices.ContainsFunc(groups, func(g history.Letters) bool { return g.Service == service && g.Reason == reason }) {
		return nil
	}
	return fault{Status: http.StatusNotFound, Title: "There is no such dead letter", Detail: "None waits that this service gave up for this reason, so nothing was changed.", Next: "Load the page of dead letters anew: somebody else may have worked on them."}
}

// stopOperation has whoever does an operation stop.
func (s *Site) stopOperation(v *visit) (view, error) {
	id := v.named("id")
	body := map[string]any{"by": cmp.Or(v.user.Name, "console")}
	err := s.Analytics.Send(v.Context(), http.MethodPost, "/v1/dead-letters/operations/"+escaped(id)+"/stop", body, nil)
	return view{goTo: "/dead-letters?done=stopped"}, err
}
