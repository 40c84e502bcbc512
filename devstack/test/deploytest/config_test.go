package deploytest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/pipeline"
)

// loadAs loads a configuration file as the service does with this environment,
// and fails the test for variables that set nothing.
func loadAs(t *testing.T, name string, text string, env map[string]string) pipeline.Config {
	t.Helper()
	in := pipeline.Input{File: []byte(text), Name: name + "'s file", Services: []pipeline.Name{pipeline.Name(name)}}
	for variable, value := range env {
		in.Environ = append(in.Environ, variable+"="+value)
	}
	config, unused, err := pipeline.Load(in)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(unused) > 0 {
		t.Errorf("%s: %v set no field", name, unused)
	}
	return config
}

func TestCompose_EnvironmentAndFileAreAValidConfiguration(t *testing.T) {
	t.Parallel()
	text := readFile(t, "deploy/mailstream.yaml")
	for name, s := range compose(t).Services {
		if s.Image != "mailstream:dev" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !slices.Contains(mounts(s), "./deploy/mailstream.yaml:/etc/mailstream/config.yaml:ro") || !slices.Contains(s.Command, "/etc/mailstream/config.yaml") {
				t.Errorf("reads %v, mounts %v", s.Command, mounts(s))
			}
			config := loadAs(t, name, text, s.Environment.ToMapping())
			if name != "migrate" {
				if diff := cmp.Diff([]string{"kafka:19092"}, config.Kafka.Brokers); diff != "" {
					t.Errorf("brokers (-want +got):\n%s", diff)
				}
			}
			if name == "migrate" || name == "analytics" {
				if config.ClickHouse.URL != "http://clickhouse:8123" || !config.ClickHouse.Password.IsSet() {
					t.Errorf("clickhouse: %+v", config.ClickHouse)
				}
			}
		})
	}
}

// Every service starts in a fresh clone, and in production with secrets that a
// person made; there it refuses each one that is published.
func TestCompose_ServicesStartWithTheirEnvironment(t *testing.T) {
	t.Parallel()
	text := readFile(t, "deploy/mailstream.yaml")
	own, err := production(t, filled(t))
	if err != nil {
		t.Fatal(err)
	}
	for mode, f := range map[string]*types.Project{"development": compose(t), "production": own} {
		for name := range ours {
			config := loadAs(t, name, text, f.Services[name].Environment.ToMapping())
			if string(config.Mode) != mode {
				t.Errorf("%s in %s has the mode %s", name, mode, config.Mode)
			}
			if _, err := pipeline.New(config, pipeline.Name(name), zap.NewNop()); err != nil {
				t.Errorf("%s in %s: %v", name, mode, err)
			}
		}
	}
	for _, secret := range secretNames() {
		env := filled(t)
		env[secret] = published + "-and-long-enough"
		if secret == "CONSOLE_USERS" {
			env[secret] = published + strings.TrimPrefix(filled(t)[secret], "ana")
		}
		if secret == "SLACK_WEBHOOK_URL" {
			env[secret] = "https://hooks.slack.com/services/REPLACE-ME"
		}
		f, err := production(t, env)
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for name, s := range f.Services {
			in := pipeline.Input{File: []byte(text), Services: []pipeline.Name{pipeline.Name(name)}}
			for variable, value := range s.Environment.ToMapping() {
				in.Environ = append(in.Environ, variable+"="+value)
			}
			if _, _, err := pipeline.Load(in); s.Image == "mailstream:dev" && err != nil && strings.Contains(err.Error(), "is published") {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("%s is published, and every service starts with it", secret)
		}
	}
}

func TestCompose_EveryVariableOfAServiceIsNeededOrSetsAField(t *testing.T) {
	t.Parallel()
	text := readFile(t, "deploy/mailstream.yaml")
	for name, s := range compose(t).Services {
		if s.Image != "mailstream:dev" {
			continue
		}
		for variable := range s.Environment.ToMapping() {
			if strings.HasPrefix(variable, "MAILSTREAM_") || strings.HasPrefix(variable, "GO") {
				continue
			}
			env := map[string]string{}
			for other, value := range s.Environment.ToMapping() {
				if other != variable {
					env[other] = value
				}
			}
			in := pipeline.Input{File: []byte(text), Services: []pipeline.Name{pipeline.Name(name)}}
			for other, value := range env {
				in.Environ = append(in.Environ, other+"="+value)
			}
			if _, _, err := pipeline.Load(in); err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%s without %s: %v, want a fault that names it", name, variable, err)
			}
		}
	}
}

func TestKubernetes_ConfigurationIsValidWithTheSecretsThatAreMounted(t *testing.T) {
	t.Parallel()
	secret := read(t, "secret.example.yaml")[0]
	text := readFile(t, filepath.Join(manifests, "config.yaml"))
	for name, m := range workloads(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			pod := m.Spec.Template.Spec
			for _, v := range pod.Volumes {
				if v.Secret == nil {
					continue
				}
				for _, item := range v.Secret.Items {
					value := secret.StringData[item.Key]
					value = strings.ReplaceAll(value, "REPLACE-ME", "4f9d0e2b7c6a1835d0e2b7c6")
					switch item.Key {
					case "slack-webhook-url":
						value = "https://hooks.slack.com/services/" + value
					case "console-users":
						value = consoleUsers
					}
					if err := os.WriteFile(filepath.Join(dir, item.Path), []byte(value), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			env := map[string]string{}
			for _, variable := range pod.Containers[0].Env {
				env[variable.Name] = variable.Value
			}
			config := loadAs(t, name, strings.ReplaceAll(text, secretPath, dir), env)
			if name != "migrate" {
				if got := config.Kafka.SASL.Username; got != "mailstream-"+name {
					t.Errorf("Kafka user %q", got)
				}
			}
			if config.Kafka.Topics.ReplicationFactor != 3 || config.Kafka.Topics.MinInsyncReplicas != 2 {
				t.Errorf("topics: %+v", config.Kafka.Topics)
			}
		})
	}
}

// The example of the Secret is an example: a service does not start with it.
func TestKubernetes_ExampleSecretsAreRefused(t *testing.T) {
	t.Parallel()
	for key, value := range read(t, "secret.example.yaml")[0].StringData {
		in := pipeline.Input{Services: []pipeline.Name{pipeline.Suppression}, Environ: []string{
			"MAILSTREAM_SUPPRESSION_LISTEN=0.0.0.0:8082", "MAILSTREAM_SUPPRESSION_TOKENS=" + fmt.Sprintf("[%q]", value), "MAILSTREAM_PRIVACY_PEPPER=0123456789abcdef",
		}}
		if _, _, err := pipeline.Load(in); err == nil || !strings.Contains(err.Error(), "is published") {
			t.Errorf("%s as it stands: %v", key, err)
		}
	}
}
