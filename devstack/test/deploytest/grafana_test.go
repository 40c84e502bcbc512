package deploytest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/mailstream/mailstream/devstack/composefile"
)

// TestGrafana_ComposeProvidesItsDashboards reads deploy/grafana/compose.yaml over compose.yaml:
// the files that Grafana reads at its start are there and name services of the network,
// and what is not ours may do as little as the rest.
func TestGrafana_ComposeProvidesItsDashboards(t *testing.T) {
	t.Parallel()
	f, err := composefile.Read(t.Context(), filepath.Join(root, "compose.yaml"), nil, filepath.Join(root, "deploy/grafana/compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	mounted := map[string]string{} // by where Grafana finds it
	for _, name := range []string{"grafana", "prometheus"} {
		s := f.Services[name]
		if uid, _, _ := strings.Cut(s.User, ":"); uid == "" || uid == "0" || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.MemLimit == 0 || s.Logging == nil || !strings.Contains(s.Image, ":") {
			t.Errorf("%s is %+v", name, s)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s is open to all at %s", name, portText(p))
			}
		}
		for _, v := range s.Volumes {
			if !strings.HasPrefix(v.Source, ".") && !filepath.IsAbs(v.Source) {
				continue // a volume of data
			}
			if _, err := os.Stat(filepath.Join(root, v.Source)); err != nil || !v.ReadOnly {
				t.Errorf("%s: %v, read only %t", name, err, v.ReadOnly)
			}
			mounted[v.Target] = v.Source
		}
	}
	var sources struct {
		Datasources []struct {
			UID, Type, URL string
			JSONData       struct{ Host, Username string } `yaml:"jsonData"`
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, mounted["/etc/grafana/provisioning/datasources/mailstream.yaml"])), &sources); err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, s := range sources.Datasources {
		types[s.Type] = true
		host := s.JSONData.Host
		if s.Type == "prometheus" {
			host = strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), ":9090")
		} else if s.JSONData.Username != "console" {
			t.Errorf("Grafana reads ClickHouse as %s, who may write", s.JSONData.Username)
		}
		if _, ok := f.Services[host]; !ok {
			t.Errorf("source %s is at %q, which is no service", s.UID, host)
		}
	}
	var providers struct {
		Providers []struct {
			Options struct{ Path string }
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, mounted["/etc/grafana/provisioning/dashboards/mailstream.yaml"])), &providers); err != nil || len(providers.Providers) != 1 {
		t.Fatalf("%v, providers %+v", err, providers)
	}
	found := 0
	for target, file := range mounted {
		if filepath.Dir(target) != providers.Providers[0].Options.Path {
			continue
		}
		found++
		var d struct {
			Templating struct{ List []struct{ Type, Query any } }
		}
		if err := json.Unmarshal([]byte(readFile(t, file)), &d); err != nil {
			t.Fatal(err)
		}
		if kind, _ := d.Templating.List[0].Query.(string); !types[kind] {
			t.Errorf("%s wants a source of the type %v, there are %v", file, d.Templating.List[0].Query, types)
		}
	}
	if files, err := filepath.Glob(filepath.Join(root, "deploy/grafana/*.json")); err != nil || found != len(files) {
		t.Errorf("Grafana finds %d of %d dashboards, %v", found, len(files), err)
	}
}
