package deploytest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

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

// defaulted is what Grafana's schema says of a setting that a panel leaves out: Grafana
// then takes its own default.
const defaulted = "required field is missing from input"

// TestGrafana_DashboardsAreOfItsSchema reads the dashboards with the types that Grafana
// generates from its schemas: a setting that Grafana does not know, or has another form of,
// changes nothing there and says nothing.
func TestGrafana_DashboardsAreOfItsSchema(t *testing.T) {
	t.Parallel()
	runtime := cog.NewRuntime()
	for _, panel := range []variants.PanelcfgConfig{timeseries.VariantConfig(), stat.VariantConfig(), table.VariantConfig()} {
		runtime.RegisterPanelcfgVariant(panel)
	}
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	files, err := filepath.Glob(filepath.Join(root, "deploy/grafana/*.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("dashboards %v, %v", files, err)
	}
	for _, file := range files {
		text := readFile(t, strings.TrimPrefix(file, root))
		for _, fault := range grafanaFaults(text) {
			t.Errorf("%s: %s", filepath.Base(file), fault)
		}
		for _, broken := range [][2]string{{`"fillOpacity": 10`, `"fillOpacity": "10"`}, {`"gridPos": {`, `"gridPos": {"left": 0,`}, {`"displayMode": "list"`, `"displaymode": "list"`}} {
			if changed := strings.Replace(text, broken[0], broken[1], 1); changed == text || len(grafanaFaults(changed)) == 0 {
				t.Errorf("%s: %s for %s is no fault", filepath.Base(file), broken[1], broken[0])
			}
		}
	}
}

func grafanaFaults(text string) []string {
	var board dashboard.Dashboard //nolint:staticcheck // the form of files that Grafana is provisioned with; the newer one is of its API
	var faults []string
	for _, err := range []error{board.UnmarshalJSONStrict([]byte(text)), board.Validate()} {
		several, ok := errors.AsType[cog.BuildErrors](err)
		if err != nil && !ok {
			faults = append(faults, err.Error())
		}
		for _, one := range several {
			if one.Message != defaulted {
				faults = append(faults, one.Error())
			}
		}
	}
	return faults
}
