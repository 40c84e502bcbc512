package deploytest

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// policy is a NetworkPolicy of Kubernetes, as far as the base uses it.
type policy struct {
	Spec struct {
		PodSelector selector `yaml:"podSelector"`
		PolicyTypes []string `yaml:"policyTypes"`
		Ingress     []struct {
			From []struct {
				NamespaceSelector *selector `yaml:"namespaceSelector"`
				PodSelector       *selector `yaml:"podSelector"` // of the same namespace
			} `yaml:"from"`
			Ports []struct {
				Port     string `yaml:"port"`
				Protocol string `yaml:"protocol"`
			} `yaml:"ports"`
		} `yaml:"ingress"`
	} `yaml:"spec"`
}

type selector struct {
	MatchLabels      map[string]string `yaml:"matchLabels"`
	MatchExpressions []struct {
		Key      string   `yaml:"key"`
		Operator string   `yaml:"operator"`
		Values   []string `yaml:"values"`
	} `yaml:"matchExpressions"`
}

// picks says whether a pod with these labels is selected.
func (s selector) picks(t *testing.T, labels map[string]string) bool {
	t.Helper()
	for name, value := range s.MatchLabels {
		if labels[name] != value {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		if e.Operator != "NotIn" {
			t.Fatalf("operator %s is none that this test knows", e.Operator)
		}
		if slices.Contains(e.Values, labels[e.Key]) {
			return false
		}
	}
	return true
}

// Who comes from where, as the policies see it.
const (
	fromTheWorld   = "world"
	fromTheCluster = "cluster"
	fromMonitoring = "monitoring"
	fromConsole    = "console"
)

// reachable returns the named ports that the policies open to each caller.
func reachable(t *testing.T, policies []policy, labels map[string]string) map[string][]string {
	t.Helper()
	open := map[string][]string{}
	add := func(port string, callers ...string) {
		for _, c := range callers {
			open[c] = append(open[c], port)
		}
	}
	for _, p := range policies {
		if !p.Spec.PodSelector.picks(t, labels) {
			continue
		}
		if !slices.Equal(p.Spec.PolicyTypes, []string{"Ingress"}) {
			t.Errorf("policy types %v", p.Spec.PolicyTypes)
		}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				if len(rule.From) == 0 {
					add(port.Port, fromTheWorld, fromTheCluster, fromMonitoring)
				}
				for _, from := range rule.From {
					if from.PodSelector != nil && from.NamespaceSelector == nil && from.PodSelector.MatchLabels["app.kubernetes.io/component"] == "console" {
						add(port.Port, fromConsole)
					} else if len(from.NamespaceSelector.MatchLabels) == 0 {
						add(port.Port, fromTheCluster, fromMonitoring)
					} else {
						add(port.Port, fromMonitoring)
					}
				}
			}
		}
	}
	for _, ports := range open {
		slices.Sort(ports)
	}
	return open
}

func TestKubernetes_ProvidersReachWebhooksAndPrometheusAloneMetrics(t *testing.T) {
	t.Parallel()
	decoder := yaml.NewDecoder(strings.NewReader(readFile(t, filepath.Join(manifests, "networkpolicy.yaml"))))
	var policies []policy
	for {
		var p policy
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	all := workloads(t)
	for name := range ours {
		want := map[string][]string{fromTheCluster: {"http"}, fromMonitoring: {"http", "metrics"}}
		if name == "ingress" {
			want[fromTheWorld] = []string{"http"}
			want[fromConsole] = []string{"metrics"}
		}
		if diff := cmp.Diff(want, reachable(t, policies, all[name].Spec.Template.Metadata.Labels)); diff != "" {
			t.Errorf("%s is reached (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range oneShots {
		labels := all[name].Spec.Template.Metadata.Labels
		if len(reachable(t, policies, labels)) == 0 {
			t.Errorf("%s has no policy: everything may reach it", name)
		}
	}
}

func TestKubernetes_RouteOpensTheWebhooksAlone(t *testing.T) {
	t.Parallel()
	var route struct {
		Spec struct {
			Rules []struct {
				HTTP struct {
					Paths []struct {
						Path     string `yaml:"path"`
						PathType string `yaml:"pathType"`
						Backend  struct {
							Service struct {
								Name string            `yaml:"name"`
								Port map[string]string `yaml:"port"`
							} `yaml:"service"`
						} `yaml:"backend"`
					} `yaml:"paths"`
				} `yaml:"http"`
			} `yaml:"rules"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(manifests, "route.example.yaml"))), &route); err != nil {
		t.Fatal(err)
	}
	if len(route.Spec.Rules) != 1 || len(route.Spec.Rules[0].HTTP.Paths) != 1 {
		t.Fatalf("rules %+v, want one path", route.Spec.Rules)
	}
	path := route.Spec.Rules[0].HTTP.Paths[0]
	service := path.Backend.Service
	if path.Path != "/v1/webhooks/" || path.PathType != "Prefix" || service.Name != "mailstream-ingress" || service.Port["name"] != "http" {
		t.Errorf("opens %+v", path)
	}
}
