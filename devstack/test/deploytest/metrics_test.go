package deploytest

import (
	gocmp "cmp"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// literals are all string literals of the services, tests left out. Names of
// metrics and labels are among them, whole or as prefix and rest.
func literals(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "services"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil {
					found[s] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// exported reports whether a service makes the metric.
func exported(metric string, literals map[string]bool) bool {
	for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
		name, cut := strings.CutSuffix(metric, suffix)
		if !cut {
			continue
		}
		if literals[name] {
			return true
		}
		for i := len("mailstream_"); i < len(name); i++ {
			if name[i-1] == '_' && literals[name[:i]] && literals[name[i:]] {
				return true
			}
		}
	}
	return false
}

// given are the labels that Prometheus or the targets add.
var given = []string{"instance", "job", "le"}

// foreign are labels that some scrapes add and others do not.
var foreign = []string{"service", "namespace", "pod", "container", "endpoint"}

var (
	metricName = regexp.MustCompile(`\bmailstream_[a-z0-9_]+`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!=|=)\s*"`)
	closedSet  = regexp.MustCompile(`\b(?:cause|outcome)=~?"([a-z_|]+)"`)
	used       = regexp.MustCompile(`\$labels\.([a-z_]+)`)
	template   = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// checkExpression fails the test for metrics and labels that nobody exports.
func checkExpression(t *testing.T, where, expression string, words map[string]bool) {
	t.Helper()
	for _, name := range metricName.FindAllString(expression, -1) {
		if !exported(name, words) {
			t.Errorf("%s: no service exports %s", where, name)
		}
	}
	var labels []string
	for _, m := range grouping.FindAllStringSubmatch(expression, -1) {
		labels = append(labels, regexp.MustCompile(`[a-z_]+`).FindAllString(m[1], -1)...)
	}
	for _, m := range matcher.FindAllStringSubmatch(expression, -1) {
		labels = append(labels, m[1])
	}
	for _, m := range closedSet.FindAllStringSubmatch(expression, -1) {
		for _, value := range strings.Split(m[1], "|") {
			if !words[value] {
				t.Errorf("%s: no label has the value %s", where, value)
			}
		}
	}
	for _, label := range labels {
		if slices.Contains(foreign, label) {
			t.Errorf("%s: the label %s is there for some scrapes only; mailstream_build_info has component", where, label)
		}
		if !slices.Contains(given, label) && !words[label] {
			t.Errorf("%s: no metric has the label %s", where, label)
		}
	}
}

type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func TestPrometheus_RulesUseWhatServicesExportAndNameARunbook(t *testing.T) {
	t.Parallel()
	var r rules
	if err := yaml.UnmarshalWithOptions([]byte(readFile(t, "deploy/prometheus/rules.yml")), &r, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	words := literals(t)
	headings := anchors(readFile(t, "docs/runbook.md"))
	seen := map[string]bool{}
	for _, group := range r.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" || seen[rule.Alert] {
				t.Errorf("alert %q has no name, or another's", rule.Alert)
			}
			seen[rule.Alert] = true
			checkExpression(t, rule.Alert, rule.Expr, words)
			if s := rule.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s: severity %q", rule.Alert, s)
			}
			if rule.Annotations["summary"] == "" {
				t.Errorf("%s has no summary", rule.Alert)
			}
			for _, m := range used.FindAllStringSubmatch(rule.Annotations["summary"], -1) {
				if !regexp.MustCompile(`by \([^)]*\b` + m[1] + `\b`).MatchString(rule.Expr) {
					t.Errorf("%s: its result has no label %s for the summary", rule.Alert, m[1])
				}
			}
			file, anchor, _ := strings.Cut(rule.Annotations["runbook"], "#")
			if file != "docs/runbook.md" || anchor != strings.ToLower(rule.Alert) || !slices.Contains(headings, anchor) {
				t.Errorf("%s: runbook %q is not its heading in docs/runbook.md", rule.Alert, rule.Annotations["runbook"])
			}
		}
	}
}

// anchors are the links to a document's headings.
func anchors(markdown string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(markdown, -1) {
		heading := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(heading, " ", "-"))
	}
	return all
}

func TestPrometheus_ScrapesEveryServiceAndLoadsTheRules(t *testing.T) {
	t.Parallel()
	var config struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string          `yaml:"targets"`
				Labels  map[string]string `yaml:"labels"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "deploy/prometheus/prometheus.yml")), &config); err != nil {
		t.Fatal(err)
	}
	for _, name := range config.RuleFiles {
		readFile(t, "deploy/prometheus/"+name)
	}
	var want, got []string
	for name, port := range ours {
		want = append(want, name+":"+metricsPort(port))
	}
	for _, job := range config.ScrapeConfigs {
		for _, static := range job.StaticConfigs {
			if len(static.Labels) > 0 {
				t.Errorf("%v get labels that no other scrape adds: %v", static.Targets, static.Labels)
			}
			if job.JobName == "mailstream" {
				got = append(got, static.Targets...)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scraped (-want +got):\n%s", diff)
	}
}

// TestPrometheusOperator_HasTheRulesAndFindsThePods compares the objects with
// rules.yml and with the pods.
func TestPrometheusOperator_HasTheRulesAndFindsThePods(t *testing.T) {
	t.Parallel()
	const dir = "deploy/kubernetes/prometheus-operator/"
	var plain, inObject, component struct {
		Groups    []any                  `yaml:"groups"`
		Spec      struct{ Groups []any } `yaml:"spec"`
		Resources []string               `yaml:"resources"`
	}
	var monitor struct {
		Spec struct {
			JobLabel  string   `yaml:"jobLabel"`
			Selector  selector `yaml:"selector"`
			Endpoints []struct {
				Port string `yaml:"port"`
				Path string `yaml:"path"`
			} `yaml:"podMetricsEndpoints"`
		} `yaml:"spec"`
	}
	for name, into := range map[string]any{
		"deploy/prometheus/rules.yml": &plain, dir + "prometheusrule.yaml": &inObject, dir + "kustomization.yaml": &component, dir + "podmonitor.yaml": &monitor,
	} {
		if err := yaml.Unmarshal([]byte(readFile(t, name)), into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(plain.Groups, inObject.Spec.Groups); diff != "" || len(plain.Groups) == 0 {
		t.Errorf("run make gen: rules (-rules.yml +prometheusrule.yaml):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"podmonitor.yaml", "prometheusrule.yaml"}, component.Resources); diff != "" {
		t.Error(diff)
	}
	if len(monitor.Spec.Endpoints) != 1 || monitor.Spec.Endpoints[0].Path != "/metrics" {
		t.Fatalf("endpoints %+v", monitor.Spec.Endpoints)
	}
	all := workloads(t)
	for name := range ours {
		labels := all[name].Spec.Template.Metadata.Labels
		named := slices.ContainsFunc(all[name].Spec.Template.Spec.Containers[0].Ports, func(p containerPort) bool { return p.Name == monitor.Spec.Endpoints[0].Port })
		if !monitor.Spec.Selector.picks(t, labels) || !named || labels[monitor.Spec.JobLabel] != "mailstream" {
			t.Errorf("pods of %s are not scraped, or not as job mailstream", name)
		}
	}
}

// TestDocs_NameMetricsThatExist reads every document for names of metrics.
func TestDocs_NameMetricsThatExist(t *testing.T) {
	t.Parallel()
	words := literals(t)
	found := 0
	for _, dir := range []string{".", "docs", "services", "deploy"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() && dir == "." && path != filepath.Join(root, dir) {
				return gocmp.Or(err, filepath.SkipDir)
			}
			if entry.IsDir() || filepath.Ext(path) != ".md" {
				return nil
			}
			text, err := os.ReadFile(path)
			for _, name := range metricName.FindAllString(string(text), -1) {
				found++
				if !exported(name, words) {
					t.Errorf("%s: no service exports %s", path, name)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 5 {
		t.Errorf("%d names of metrics in all documents: the test does not find them", found)
	}
}

func TestGrafana_PanelsShowWhatServicesExport(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		UID    string `json:"uid"`
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ H, W, X, Y int }
			Targets []struct {
				Expr         string `json:"expr"`
				LegendFormat string `json:"legendFormat"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(readFile(t, "deploy/grafana/mailstream.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	words := literals(t)
	ids, places := map[int]bool{}, map[[2]int]bool{}
	for _, panel := range dashboard.Panels {
		at := [2]int{panel.GridPos.X, panel.GridPos.Y}
		if ids[panel.ID] || places[at] || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %q has the id or the place of another", panel.Title)
		}
		ids[panel.ID], places[at] = true, true
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			checkExpression(t, "panel "+panel.Title, target.Expr, words)
			for _, m := range template.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(target.Expr, m[1]) {
					t.Errorf("panel %q: legend %s has no label in %s", panel.Title, m[1], target.Expr)
				}
			}
		}
	}
}
