package route

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func TestTargets(t *testing.T) {
	t.Parallel()
	all := []string{"slack", "pager", "mail"}
	spike := schemas.Alert{Rule: "block_spike", Labels: map[string]string{"source": "acme", "recipient_domain": "gmail.com"}}
	mild := schemas.Alert{Rule: "complaints", Metric: "complaint_rate", Severity: schemas.SeverityWarning, Labels: map[string]string{"source": "acme", "campaign": "c1"}}
	sick := schemas.Alert{Rule: schemas.RuleReceiver, Severity: schemas.SeverityCritical, Labels: map[string]string{"receiver": "pager"}}
	hour, four := time.Hour, 4*time.Hour
	for _, tt := range []struct {
		name   string
		routes []Route
		alert  schemas.Alert
		want   []Target
	}{
		{"no routes", nil, spike, []Target{{"slack", hour}, {"pager", hour}, {"mail", hour}}},
		{"less urgent", nil, mild, []Target{{"slack", four}, {"pager", four}, {"mail", four}}},
		{"first that fits", []Route{{Receivers: []string{"pager"}, Severity: []schemas.AlertSeverity{"critical"}}, {Receivers: []string{"mail"}}}, spike, []Target{{"pager", hour}}},
		{"second", []Route{{Receivers: []string{"pager"}, Severity: []schemas.AlertSeverity{"critical"}}, {Receivers: []string{"mail"}}}, mild, []Target{{"mail", four}}},
		{"continue", []Route{{Receivers: []string{"pager"}, Continue: true, Repeat: 30 * time.Minute}, {Receivers: []string{"mail", "pager"}}}, spike, []Target{{"pager", 30 * time.Minute}, {"mail", hour}}},
		{"no route fits", []Route{{Receivers: []string{"pager"}, Rule: []string{"other"}}}, spike, []Target{{"slack", hour}, {"pager", hour}, {"mail", hour}}},
		{"metric of an old record", []Route{{Receivers: []string{"pager"}, Metric: []string{"block_rate"}}}, spike, []Target{{"pager", hour}}},
		{"labels", []Route{{Receivers: []string{"mail"}, Labels: map[string][]string{"recipient_domain": {"gmail.com", "yahoo.com"}, "source": {"acme"}}}}, spike, []Target{{"mail", hour}}},
		{"a label it has not", []Route{{Receivers: []string{"mail"}, Labels: map[string][]string{"campaign": {"c2"}}}, {Receivers: []string{"slack"}}}, mild, []Target{{"slack", four}}},
		{"nobody", []Route{{Rule: []string{"complaints"}}}, mild, nil},
		{"own failure", []Route{{Receivers: all}}, sick, []Target{{"slack", hour}, {"mail", hour}}},
		{"own failure without routes", nil, sick, []Target{{"slack", hour}, {"mail", hour}}},
		{"a failing receiver has no metric", []Route{{Receivers: []string{"mail"}, Metric: []string{"block_rate"}}, {Receivers: []string{"slack"}}}, sick, []Target{{"slack", hour}}},
	} {
		if diff := cmp.Diff(tt.want, Targets(tt.routes, all, &tt.alert)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestValidate_NamesEveryFault(t *testing.T) {
	t.Parallel()
	var p config.Problems
	Route{
		Receivers: []string{"slack", "pager"}, Severity: []schemas.AlertSeverity{"loud"}, Metric: []string{"opens"}, Rule: []string{"spike", "spyke"},
		Labels: map[string][]string{"colour": {"red"}, "source": {}}, Repeat: time.Minute,
	}.Validate([]string{"slack"}, map[string]bool{"spike": true}, p.At("routes[0]"))
	err := p.Err()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{`receivers[1]: "pager" is not one of ["slack"]`, "severity[0]", "metric[0]", `rule[1]: "spyke" is not the name of a rule`, "labels.colour", "labels.source", "repeat: 1m is not in [5m, 7d]"} {
		if !strings.Contains(err.Error(), "routes[0]."+want) {
			t.Errorf("lacks %s: %v", want, err)
		}
	}
}
