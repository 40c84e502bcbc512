package promtest_test

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/mailstream/mailstream/devstack/promtest"
)

const deploy = "../../deploy/prometheus"

// scrapes are the labels that targets get, by who scrapes them. The tests are
// written with those of compose; instance is the same for all.
func scrapes() map[string]string {
	return map[string]string{
		"compose":             `job="mailstream"`,
		"prometheus-operator": `job="mailstream", namespace="mailstream", pod="mailstream-0", container="c", endpoint="metrics"`,
		"annotations":         `job="kubernetes-pods", namespace="mailstream", pod="mailstream-0", node="n"`,
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	list, err := promtest.ParseRules(read(t, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]rulefmt.Rule{}
	for _, r := range list {
		byName[r.Alert] = r
	}
	return byName
}

func tests(t *testing.T) []promtest.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(deploy, "*_test.yml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%d files of tests, %v", len(names), err)
	}
	var files []promtest.File
	for _, name := range names {
		f, err := promtest.ParseTests(read(t, filepath.Base(name)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(f.RuleFiles, []string{"rules.yml"}) {
			t.Errorf("%s tests %v", name, f.RuleFiles)
		}
		files = append(files, f)
	}
	return files
}

func TestRules_FireAndDoNotFireWhoeverScrapes(t *testing.T) {
	t.Parallel()
	known := rules(t)
	for _, file := range tests(t) {
		for scrape, labels := range scrapes() {
			for _, group := range file.Tests {
				t.Run(scrape+"/"+group.Name, func(t *testing.T) {
					t.Parallel()
					group.Series = slices.Clone(group.Series)
					for i, s := range group.Series {
						if scrape == "annotations" && strings.HasPrefix(s.Series, "up{") && !strings.Contains(group.Name, "was scraped") {
							continue // its job has no name to know it by before it was scraped
						}
						group.Series[i].Series = strings.Replace(s.Series, `job="mailstream"`, labels, 1)
					}
					run(t, known, group, time.Duration(file.EvaluationInterval))
				})
			}
		}
	}
}

// run evaluates each alert of the group once, for all moments it is asked for.
func run(t *testing.T, known map[string]rulefmt.Rule, group promtest.Group, interval time.Duration) {
	t.Helper()
	for _, c := range group.Alerts {
		rule, ok := known[c.Alert]
		if !ok {
			t.Errorf("there is no alert %s", c.Alert)
			continue
		}
		got, err := group.Firing(t.Context(), rule, interval, time.Duration(c.EvalTime))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(sorted(c.Want), sorted(got), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s at %s (-want +got):\n%s", c.Alert, c.EvalTime, diff)
		}
	}
}

func sorted(alerts []promtest.Alert) []promtest.Alert {
	out := slices.Clone(alerts)
	slices.SortFunc(out, func(a, b promtest.Alert) int { return cmp.Compare(a.Annotations["summary"], b.Annotations["summary"]) })
	return out
}

func TestRules_EachIsTestedFiringAndNotFiring(t *testing.T) {
	t.Parallel()
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, file := range tests(t) {
		for _, group := range file.Tests {
			for _, c := range group.Alerts {
				if len(c.Want) > 0 {
					fires[c.Alert] = true
				} else {
					quiet[c.Alert] = true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rules(t))) {
		if !fires[name] || !quiet[name] {
			t.Errorf("%s is tested firing: %v, not firing: %v", name, fires[name], quiet[name])
		}
	}
}
