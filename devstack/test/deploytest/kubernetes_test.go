package deploytest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

const manifests = "deploy/kubernetes"

// manifest is the part of a Kubernetes object that the tests look at.
type manifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	} `yaml:"metadata"`
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Replicas int `yaml:"replicas"`
		// A Deployment has matchLabels below selector, a Service the labels.
		Selector  map[string]any `yaml:"selector"`
		ClusterIP string         `yaml:"clusterIP"`
		Ports     []struct {
			Port       int    `yaml:"port"`
			TargetPort string `yaml:"targetPort"`
		} `yaml:"ports"`
		Template struct {
			Metadata struct {
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"metadata"`
			Spec podSpec `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type podSpec struct {
	ServiceToken    *bool `yaml:"automountServiceAccountToken"`
	ServiceLinks    *bool `yaml:"enableServiceLinks"`
	SecurityContext struct {
		RunAsNonRoot bool              `yaml:"runAsNonRoot"`
		RunAsUser    int               `yaml:"runAsUser"`
		Seccomp      map[string]string `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container `yaml:"containers"`
	Volumes    []struct {
		Name      string `yaml:"name"`
		ConfigMap *struct {
			Name string `yaml:"name"`
		} `yaml:"configMap"`
		Secret *struct {
			SecretName string `yaml:"secretName"`
			Items      []struct {
				Key  string `yaml:"key"`
				Path string `yaml:"path"`
			} `yaml:"items"`
		} `yaml:"secret"`
	} `yaml:"volumes"`
}

type container struct {
	Name  string   `yaml:"name"`
	Image string   `yaml:"image"`
	Args  []string `yaml:"args"`
	Env   []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	Ports           []containerPort `yaml:"ports"`
	StartupProbe    *probe          `yaml:"startupProbe"`
	ReadinessProbe  *probe          `yaml:"readinessProbe"`
	LivenessProbe   *probe          `yaml:"livenessProbe"`
	SecurityContext struct {
		Escalation   *bool               `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRoot bool                `yaml:"readOnlyRootFilesystem"`
		Capabilities map[string][]string `yaml:"capabilities"`
	} `yaml:"securityContext"`
	Resources struct {
		Requests map[string]string `yaml:"requests"`
		Limits   map[string]string `yaml:"limits"`
	} `yaml:"resources"`
	VolumeMounts []struct {
		Name      string `yaml:"name"`
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type containerPort struct {
	Name          string `yaml:"name"`
	ContainerPort int    `yaml:"containerPort"`
}

type probe struct {
	HTTPGet struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	} `yaml:"httpGet"`
}

// secretPath is where the pods find the Secret's keys as files.
const secretPath = "/run/secrets/mailstream"

// read decodes every document of a manifest file.
func read(t *testing.T, name string) []manifest {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(readFile(t, filepath.Join(manifests, name))))
	var all []manifest
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("parse %s: %v", name, err)
		}
		all = append(all, m)
	}
}

// resources are all manifests that kustomization.yaml lists.
func resources(t *testing.T) []manifest {
	t.Helper()
	var all []manifest
	for _, name := range kustomization(t).Resources {
		all = append(all, read(t, name)...)
	}
	return all
}

type kustomize struct {
	Resources          []string `yaml:"resources"`
	ConfigMapGenerator []struct {
		Name  string   `yaml:"name"`
		Files []string `yaml:"files"`
	} `yaml:"configMapGenerator"`
	Images []struct {
		Name    string `yaml:"name"`
		NewName string `yaml:"newName"`
		NewTag  string `yaml:"newTag"`
	} `yaml:"images"`
}

func kustomization(t *testing.T) kustomize {
	t.Helper()
	var k kustomize
	if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(manifests, "kustomization.yaml"))), &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// workloads are the objects that run pods, by component.
func workloads(t *testing.T) map[string]manifest {
	t.Helper()
	all := map[string]manifest{}
	for _, m := range resources(t) {
		if len(m.Spec.Template.Spec.Containers) > 0 {
			all[strings.TrimPrefix(m.Metadata.Name, "mailstream-")] = m
		}
	}
	return all
}

func TestKubernetes_BaseHasEveryFileAndService(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(filepath.Join(root, manifests))
	if err != nil {
		t.Fatal(err)
	}
	k := kustomization(t)
	listed := append(slices.Clone(k.Resources), k.ConfigMapGenerator[0].Files...)
	// The one is the list itself, the others must not be applied as they are.
	listed = append(listed, "kustomization.yaml", "secret.example.yaml", "route.example.yaml")
	for _, f := range files {
		if !f.IsDir() && !slices.Contains(listed, f.Name()) {
			t.Errorf("%s is not in the base", f.Name())
		}
	}
	want := append(slices.Collect(maps.Keys(ours)), oneShots...)
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(workloads(t)))); diff != "" {
		t.Errorf("workloads (-want +got):\n%s", diff)
	}
	if tag := k.Images[0].NewTag; k.Images[0].Name != "mailstream" || tag == "" || tag == "latest" {
		t.Errorf("image %s is pinned to %q", k.Images[0].Name, tag)
	}
}

func TestKubernetes_PodsMeetTheRestrictedProfile(t *testing.T) {
	t.Parallel()
	for name, m := range workloads(t) {
		pod := m.Spec.Template.Spec
		if pod.ServiceToken == nil || *pod.ServiceToken || pod.ServiceLinks == nil || *pod.ServiceLinks {
			t.Errorf("%s gets a token or variables of the cluster", name)
		}
		s := pod.SecurityContext
		if !s.RunAsNonRoot || s.RunAsUser != 65532 || s.Seccomp["type"] != "RuntimeDefault" {
			t.Errorf("%s: pod security %+v", name, s)
		}
		if len(pod.Containers) != 1 {
			t.Fatalf("%s has %d containers", name, len(pod.Containers))
		}
		c := pod.Containers[0]
		if c.SecurityContext.Escalation == nil || *c.SecurityContext.Escalation || !c.SecurityContext.ReadOnlyRoot || !slices.Equal(c.SecurityContext.Capabilities["drop"], []string{"ALL"}) {
			t.Errorf("%s: container security %+v", name, c.SecurityContext)
		}
		if c.Resources.Requests["cpu"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
			t.Errorf("%s: resources %+v", name, c.Resources)
		}
		if c.Image != "mailstream" {
			t.Errorf("%s: image %q is not the one that kustomization.yaml pins", name, c.Image)
		}
	}
}

func TestKubernetes_ProbesAndServicesReachThePort(t *testing.T) {
	t.Parallel()
	all := workloads(t)
	services, budgets := map[string]manifest{}, map[string]manifest{}
	for _, m := range resources(t) {
		switch m.Kind {
		case "Service":
			services[strings.TrimPrefix(m.Metadata.Name, "mailstream-")] = m
		case "PodDisruptionBudget":
			budgets[strings.TrimPrefix(m.Metadata.Name, "mailstream-")] = m
		}
	}
	for name, port := range ours {
		m := all[name]
		c := m.Spec.Template.Spec.Containers[0]
		ports := map[string]string{}
		for _, p := range c.Ports {
			ports[p.Name] = yamlText(p.ContainerPort)
		}
		if diff := cmp.Diff(map[string]string{"http": port, "metrics": metricsPort(port)}, ports); diff != "" || c.Args[0] != name {
			t.Errorf("%s runs %v, ports (-want +got):\n%s", name, c.Args, diff)
		}
		for probe, path := range map[*probe]string{c.StartupProbe: "/healthz", c.LivenessProbe: "/healthz", c.ReadinessProbe: "/readyz"} {
			if probe == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port != "http" {
				t.Errorf("%s: probe of %s is %+v", name, path, probe)
			}
		}
		if got := m.Spec.Template.Metadata.Annotations["prometheus.io/port"]; got != ports["metrics"] {
			t.Errorf("%s is scraped on %q", name, got)
		}
		service := services[name].Spec
		if len(service.Ports) != 1 || yamlText(service.Ports[0].Port) != port || service.Ports[0].TargetPort != "http" {
			t.Errorf("service of %s has ports %+v", name, service.Ports)
		}
		labels := m.Spec.Template.Metadata.Labels
		matches(t, name+" service", labels, labelsOf(t, service.Selector))
		for what, selector := range map[string]map[string]any{"workload": m.Spec.Selector, "budget": budgets[name].Spec.Selector} {
			matches(t, name+" "+what, labels, labelsOf(t, selector["matchLabels"]))
		}
		if m.Spec.Replicas < 2 {
			t.Errorf("%s has %d replicas: an update or a lost node stops it", name, m.Spec.Replicas)
		}
	}
}

func yamlText(v any) string {
	text, err := yaml.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text))
}

// labelsOf returns v, however the decoder typed it, as labels.
func labelsOf(t *testing.T, v any) map[string]string {
	t.Helper()
	var labels map[string]string
	if err := yaml.Unmarshal([]byte(yamlText(v)), &labels); err != nil {
		t.Fatal(err)
	}
	return labels
}

// matches fails the test unless a selector picks pods with these labels.
func matches(t *testing.T, what string, labels, selector map[string]string) {
	t.Helper()
	if len(selector) == 0 {
		t.Errorf("%s selects everything or nothing", what)
	}
	for name, value := range selector {
		if labels[name] != value {
			t.Errorf("%s wants %s=%s, the pods have %q", what, name, value, labels[name])
		}
	}
}

func TestKubernetes_MountedSecretsAreInTheExampleAndUsed(t *testing.T) {
	t.Parallel()
	secret := read(t, "secret.example.yaml")[0]
	config := readFile(t, filepath.Join(manifests, "config.yaml"))
	mounted := map[string]bool{}
	for name, m := range workloads(t) {
		for _, v := range m.Spec.Template.Spec.Volumes {
			if v.Secret == nil {
				continue
			}
			if v.Secret.SecretName != secret.Metadata.Name {
				t.Errorf("%s mounts the secret %q", name, v.Secret.SecretName)
			}
			for _, item := range v.Secret.Items {
				mounted[item.Key] = true
				if _, there := secret.StringData[item.Key]; !there {
					t.Errorf("%s mounts %s, which secret.example.yaml does not have", name, item.Key)
				}
				// A service's own key ends in its name; the file does not.
				if strings.TrimSuffix(item.Key, "-"+name) != item.Path || !strings.Contains(config, secretPath+"/"+item.Path) {
					t.Errorf("%s mounts %s at %s, which config.yaml does not read", name, item.Key, item.Path)
				}
			}
		}
	}
	for key, value := range secret.StringData {
		if !strings.Contains(value, "REPLACE-ME") {
			t.Errorf("secret %s looks like a real one", key)
		}
		if !mounted[key] {
			t.Errorf("nobody mounts secret %s", key)
		}
	}
}

// TestKubernetes_TheConsoleAsksEveryPodOfTheIngress follows the URL of its metrics to the
// port of the pods: a service with an address of its own would answer for one of them.
func TestKubernetes_TheConsoleAsksEveryPodOfTheIngress(t *testing.T) {
	t.Parallel()
	ingress := workloads(t)["ingress"]
	for _, m := range resources(t) {
		if m.Kind != "Service" || m.Metadata.Name != "mailstream-ingress-pods" {
			continue
		}
		if m.Spec.ClusterIP != "None" || len(m.Spec.Ports) != 1 || m.Spec.Ports[0].TargetPort != "metrics" {
			t.Errorf("the service is %+v", m.Spec)
		}
		matches(t, "the service", ingress.Spec.Template.Metadata.Labels, labelsOf(t, m.Spec.Selector))
		want := "dns+http://" + m.Metadata.Name + ":" + yamlText(m.Spec.Ports[0].Port) + "/metrics"
		for _, file := range []string{filepath.Join(manifests, "config.yaml"), filepath.Join(manifests, "../overlays/production/config.yaml"), filepath.Join(manifests, "../overlays/staging/config.yaml")} {
			var configured struct {
				Console struct {
					Ingress struct {
						URL string `yaml:"metrics_url"`
					}
				}
			}
			if err := yaml.Unmarshal([]byte(readFile(t, file)), &configured); err != nil || configured.Console.Ingress.URL != want {
				t.Errorf("%s: %v, metrics_url is %q, want %q", file, err, configured.Console.Ingress.URL, want)
			}
		}
		return
	}
	t.Error("there is no such service")
}
