package deploytest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
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
var given = []string{"instance", "job", "le", "service"}

var (
	metricName = regexp.MustCompile(`\bmailstream_[a-z0-9_]+`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!=|=)\s*"`)
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
	for _, label := range labels {
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
	headings := anchors(readFile(t, "docs/operations.md"))
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
			file, anchor, _ := strings.Cut(rule.Annotations["runbook"], "#")
			if file != "docs/operations.md" || !slices.Contains(headings, anchor) {
				t.Errorf("%s: runbook %q is no heading of docs/operations.md", rule.Alert, rule.Annotations["runbook"])
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
	left := map[string]string{}
	for name, port := range ours {
		left[name+":"+metricsPort(port)] = name
	}
	for _, job := range config.ScrapeConfigs {
		for _, static := range job.StaticConfigs {
			for _, target := range static.Targets {
				if name, service := left[target]; service && (job.JobName != "mailstream" || static.Labels["service"] != name) {
					t.Errorf("%s is scraped as %s of job %s", target, static.Labels["service"], job.JobName)
				}
				delete(left, target)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("not scraped: %v", left)
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
