package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/schemas"
)

// alertingCall is what the commands share that ask a running alerting.
type alertingCall struct {
	service
	asJSON bool
}

// flags adds the shared flags to cmd.
func (a *alertingCall) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.url, "url", "http://127.0.0.1:8083", "base `URL` of the alerting service")
	f.StringVar(&a.token, "token", "", "bearer `token`; better in MAILSTREAM_ALERTING_TOKEN, since others on the host see command lines")
	f.BoolVar(&a.asJSON, "json", false, "print the answer as JSON")
}

// ask calls the service. What it refuses as wrong in the request is wrong on the
// command line.
func (a *alertingCall) ask(cmd *cobra.Command, c *command, call request) error {
	a.variable = alertingToken
	if a.token == "" {
		a.token = c.environment(a.variable)
	}
	err := a.call(cmd.Context(), call.method, call.path, call.body, call.answer)
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.status == http.StatusBadRequest {
		return usagef("%s", refused.detail)
	}
	return err
}

// request is one call.
type request struct {
	method, path string
	body, answer any // nil: none
}

// print writes v as JSON, or what text makes of it.
func (a *alertingCall) print(out io.Writer, v any, text func(w *tabwriter.Writer)) error {
	if a.asJSON {
		return json.NewEncoder(out).Encode(v)
	}
	const gap = 2 // blanks between columns
	w := tabwriter.NewWriter(out, 0, 0, gap, ' ', 0)
	text(w)
	return w.Flush()
}

func (c *command) listAlerts() *cobra.Command {
	var a alertingCall
	var filters struct {
		since, until          moment
		state, severity, rule string
		labels                []string
	}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List alerts, the latest incident first; ended ones for a day",
		Example: `  mailstream alerts list --state firing,recovering
  mailstream alerts list --label recipient_domain=example.com --since 2026-01-02T10:00:00Z --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			for name, value := range map[string]string{
				"state": filters.state, "severity": filters.severity, "rule": filters.rule, "since": filters.since.String(), "until": filters.until.String(),
			} {
				if cmd.Flags().Changed(name) { // an empty word is sent, and refused
					query.Set(name, value)
				}
			}
			for _, label := range filters.labels {
				name, value, ok := strings.Cut(label, "=")
				if !ok {
					return usagef("--label: %q is not NAME=VALUE", label)
				}
				query.Set("label."+name, value)
			}
			var answer struct {
				Alerts []schemas.Alert `json:"alerts"`
				Total  int             `json:"total"`
			}
			if err := a.ask(cmd, c, request{http.MethodGet, "/v1/alerts?" + query.Encode(), nil, &answer}); err != nil {
				return err
			}
			return a.print(c.stdout, answer, func(w *tabwriter.Writer) {
				fmt.Fprintln(w, "INCIDENT\tSINCE\tSTATE\tRULE\tKEY\tVALUE\tREMARKS")
				for _, alert := range answer.Alerts {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.4g\t%s\n", alert.Incident, stamp(alert.Since), alert.State, alert.Rule, key(alert.Labels), alert.Value, remarks(&alert))
				}
			})
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&filters.state, "state", "", "only these `states`: pending, firing, recovering, resolved, separated by commas")
	f.StringVar(&filters.severity, "severity", "", "only these `severities`: info, warning, critical, separated by commas")
	f.StringVar(&filters.rule, "rule", "", "only alerts of this `rule`")
	f.Var(&filters.since, "since", "only incidents that lasted at or after this `time`, RFC 3339 or a date in UTC")
	f.Var(&filters.until, "until", "only incidents that began before this `time`, RFC 3339 or a date in UTC")
	f.StringArrayVar(&filters.labels, "label", nil, "only alerts with this label, `NAME=VALUE`; may be given several times")
	return cmd
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// key is the labels in one word.
func key(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, name+"="+labels[name])
	}
	return strings.Join(parts, ",")
}

// remarks says why people do not hear of an alert, or who does something.
func remarks(a *schemas.Alert) string {
	var out []string
	if a.Late {
		out = append(out, "seen late")
	}
	if len(a.SilencedBy) > 0 {
		out = append(out, "silenced by "+strings.Join(a.SilencedBy, ", "))
	}
	if a.InhibitedBy != "" {
		out = append(out, "covered by "+a.InhibitedBy)
	}
	if a.Acknowledged != nil {
		out = append(out, "acknowledged by "+a.Acknowledged.By)
	}
	if a.Flapping {
		out = append(out, "flapping")
	}
	return strings.Join(out, "; ")
}

// incidentShown is the answer of GET /v1/incidents/{id}.
type incidentShown struct {
	Incident string                 `json:"incident"`
	Alert    schemas.Alert          `json:"alert"`
	Acks     []schemas.AlertAck     `json:"acknowledgements"`
	Silences []schemas.AlertSilence `json:"silences"`
	Notes    []schemas.AlertNote    `json:"notes"`
	Timeline []step                 `json:"timeline"`
}

type step struct {
	schemas.AlertStep
	Value  *float64             `json:"value,omitempty"`
	Counts *schemas.AlertCounts `json:"counts,omitempty"`
}

func (c *command) showIncident() *cobra.Command {
	var a alertingCall
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show an incident with all that happened to it, for 30 days after its end",
		Example: "  mailstream alerts show inc-9a3b5f0c2d",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			var answer incidentShown
			if err := a.ask(cmd, c, request{http.MethodGet, "/v1/incidents/" + url.PathEscape(ids[0]), nil, &answer}); err != nil {
				return err
			}
			return a.print(c.stdout, answer, answer.write)
		},
	}
	a.flags(cmd)
	return cmd
}

func (i *incidentShown) write(w *tabwriter.Writer) {
	fmt.Fprintf(w, "%s: %s at %s is %s", i.Incident, i.Alert.Rule, key(i.Alert.Labels), i.Alert.State)
	if why := remarks(&i.Alert); why != "" {
		fmt.Fprintf(w, ", %s", why)
	}
	fmt.Fprint(w, "\n\n")
	for _, s := range i.Timeline {
		what := strings.Join(slices.DeleteFunc([]string{string(s.State), s.By, s.Receiver, s.Detail, s.Answer}, func(s string) bool { return s == "" }), " ")
		if s.Value != nil {
			what = fmt.Sprintf("%.4g", *s.Value)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", stamp(s.At), s.Kind, what)
	}
}

// said are the flags of what people say of an incident.
type said struct{ by, note string }

func (s *said) flags(cmd *cobra.Command, noteUse string) {
	cmd.Flags().StringVar(&s.by, "by", "", "`who` says so (required)")
	cmd.Flags().StringVar(&s.note, "note", "", noteUse)
	_ = cmd.MarkFlagRequired("by") // it exists
}

func (s *said) body() map[string]string { return map[string]string{"by": s.by, "note": s.note} }

func (c *command) acknowledge() *cobra.Command {
	var a alertingCall
	var s said
	cmd := &cobra.Command{
		Use:     "ack ID",
		Short:   "Say that you take care of an incident: it is repeated no more",
		Example: `  mailstream alerts ack inc-9a3b5f0c2d --by ana --note "asked the postmaster"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			var answer struct {
				Acknowledged schemas.AlertAck `json:"acknowledged"`
			}
			if err := a.ask(cmd, c, request{http.MethodPost, "/v1/incidents/" + url.PathEscape(ids[0]) + "/ack", s.body(), &answer}); err != nil {
				return err
			}
			return a.print(c.stdout, answer, func(w *tabwriter.Writer) { fmt.Fprintf(w, "%s is acknowledged by %s\n", ids[0], s.by) })
		},
	}
	a.flags(cmd)
	s.flags(cmd, "`what` is done about it")
	return cmd
}

func (c *command) note() *cobra.Command {
	var a alertingCall
	var s said
	cmd := &cobra.Command{
		Use:     "note ID",
		Short:   "Keep a note about an incident",
		Example: `  mailstream alerts note inc-9a3b5f0c2d --by ana --note "the address is off the list"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			var answer struct {
				ID string `json:"id"`
			}
			if err := a.ask(cmd, c, request{http.MethodPost, "/v1/incidents/" + url.PathEscape(ids[0]) + "/notes", s.body(), &answer}); err != nil {
				return err
			}
			return a.print(c.stdout, answer, func(w *tabwriter.Writer) { fmt.Fprintln(w, answer.ID) })
		},
	}
	a.flags(cmd)
	s.flags(cmd, "the `text` (required)")
	_ = cmd.MarkFlagRequired("note") // it exists
	return cmd
}
