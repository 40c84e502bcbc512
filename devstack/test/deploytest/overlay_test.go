package deploytest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// object is a rendered Kubernetes object.
type object struct {
	manifest
	Data  map[string]string
	place string // its namespace
}

// render is what `kubectl apply -k folder` would apply.
func render(t *testing.T, folder string) []object {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, folder))
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for _, r := range m.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		o := object{place: r.GetNamespace()}
		if r.GetKind() == "Namespace" {
			o.place = r.GetName()
		}
		if o.Kind, o.Metadata.Name = r.GetKind(), r.GetName(); !slices.Contains([]string{"PrometheusRule", "PodMonitor", "NetworkPolicy", "Ingress"}, o.Kind) { // others look into those
			if err := yaml.Unmarshal(text, &o.manifest); err != nil {
				t.Fatalf("%s %s: %v", r.GetKind(), r.GetName(), err)
			}
		}
		o.Data = r.GetDataMap()
		all = append(all, o)
	}
	return all
}

// exampleSecrets are the keys that the examples name, with values as a person
// would make them.
func exampleSecrets(t *testing.T, folder string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, name := range []string{filepath.Join(manifests, "secret.example.yaml"), filepath.Join(folder, "secret.example.yaml")} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			continue
		}
		var m manifest
		if err := yaml.Unmarshal([]byte(readFile(t, name)), &m); err != nil {
			t.Fatal(err)
		}
		maps.Copy(values, m.StringData)
	}
	for key, value := range values {
		values[key] = strings.ReplaceAll(value, "REPLACE-ME", "4f9d0e2b7c6a1835d0e2b7c6")
	}
	values["console-users"] = consoleUsers
	values["slack-webhook-url"] = "https://hooks.slack.com/services/T/B/x"
	return values
}

// Base and overlays can be applied as they are written: what pods refer to is
// there, and each service starts with the configuration and the secrets it gets.
func TestKubernetes_OverlaysWorkAsWritten(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob(filepath.Join(root, "deploy/overlays/*"))
	if err != nil || len(folders) < 2 {
		t.Fatalf("%v, %v", folders, err)
	}
	paths := []string{manifests}
	for _, folder := range folders {
		paths = append(paths, "deploy/overlays/"+filepath.Base(folder))
	}
	for _, folder := range paths {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			objects, secrets := render(t, folder), exampleSecrets(t, folder)
			configs := map[string]string{}
			namespace := ""
			for _, o := range objects {
				if o.Kind == "ConfigMap" {
					configs[o.Metadata.Name] = o.Data["config.yaml"]
				}
				if namespace == "" {
					namespace = o.place
				}
				if o.place != namespace {
					t.Errorf("%s %s is in the namespace %q, others in %q", o.Kind, o.Metadata.Name, o.place, namespace)
				}
			}
			found := 0
			for _, o := range objects {
				if len(o.Spec.Template.Spec.Containers) > 0 {
					found++
					checkWorkload(t, o, configs, secrets)
				}
			}
			if found != len(ours)+len(oneShots) {
				t.Errorf("%d workloads", found)
			}
		})
	}
}

func checkWorkload(t *testing.T, o object, configs, secrets map[string]string) {
	t.Helper()
	name := strings.TrimPrefix(o.Metadata.Name, "mailstream-")
	pod := o.Spec.Template.Spec
	c := pod.Containers[0]
	if !strings.HasPrefix(c.Image, "registry.example.com/") || strings.HasSuffix(c.Image, ":latest") {
		t.Errorf("%s runs the image %s", name, c.Image)
	}
	for _, p := range []*probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p == nil {
			continue
		}
		known := false
		for _, port := range c.Ports {
			known = known || port.Name == p.HTTPGet.Port
		}
		if !known {
			t.Errorf("%s has no port %s for its probe", name, p.HTTPGet.Port)
		}
	}
	dir, text := t.TempDir(), ""
	for _, v := range pod.Volumes {
		if v.ConfigMap != nil {
			if text = configs[v.ConfigMap.Name]; text == "" {
				t.Errorf("%s mounts the config map %s, which is not there", name, v.ConfigMap.Name)
			}
		}
		if v.Secret == nil {
			continue
		}
		for _, item := range v.Secret.Items {
			value, there := secrets[item.Key]
			if !there {
				t.Errorf("%s mounts the secret's key %s, which no example has", name, item.Key)
			}
			if err := os.WriteFile(filepath.Join(dir, item.Path), []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	env := map[string]string{}
	for _, variable := range c.Env {
		env[variable.Name] = variable.Value
	}
	loadAs(t, name, strings.ReplaceAll(text, secretPath, dir), env)
}
