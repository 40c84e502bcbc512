package deploytest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/devstack/apachekafka"
	"github.com/mailstream/mailstream/devstack/composefile"
)

// root is the top of the repository.
const root = "../../.."

// oneShots do their work and end; the others stay.
var oneShots = []string{"topics", "migrate"}

// ours are the services of our own image that stay, with their ports.
var ours = map[string]string{"ingress": "8080", "analytics": "8081", "suppression": "8082", "alerting": "8083", "console": "8088"}

// metricsPort is where the metrics of the service at port are.
func metricsPort(port string) string { return strings.Replace(port, "8", "9", 1) }

func envExample(t *testing.T) map[string]string {
	t.Helper()
	env, err := composefile.ReadEnv(filepath.Join(root, ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// compose is what `docker compose up` starts in a fresh clone, with nothing set.
func compose(t *testing.T) *types.Project {
	t.Helper()
	f, err := composefile.Read(t.Context(), filepath.Join(root, "compose.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// production is what is started once .env has been copied and env set in it.
func production(t *testing.T, env map[string]string) (*types.Project, error) {
	t.Helper()
	files := strings.Split(env["COMPOSE_FILE"], ":")
	for i, name := range files {
		files[i] = filepath.Join(root, name)
	}
	return composefile.Read(t.Context(), files[0], env, files[1:]...)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCompose_StartsInOrder(t *testing.T) {
	t.Parallel()
	const healthy, done = "service_healthy", "service_completed_successfully"
	want := map[string]map[string]string{
		"kafka":       {},
		"clickhouse":  {},
		"topics":      {"kafka": healthy},
		"migrate":     {"clickhouse": healthy},
		"ingress":     {"topics": done},
		"analytics":   {"topics": done, "migrate": done},
		"suppression": {"topics": done},
		"alerting":    {"topics": done},
		"console":     {"topics": done, "migrate": done},
		"slack":       {},
	}
	got := map[string]map[string]string{}
	for name, s := range compose(t).Services {
		got[name] = map[string]string{}
		for other, d := range s.DependsOn {
			got[name][other] = d.Condition
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
}

func TestCompose_PublishesOnlyWhatAPersonUsesAndOnlyToThisHost(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"kafka":       {"127.0.0.1:9092:9092"},
		"clickhouse":  {"127.0.0.1:8123:8123"},
		"ingress":     {"127.0.0.1:8080:8080"},
		"suppression": {"127.0.0.1:8082:8082"},
		"alerting":    {"127.0.0.1:8083:8083"},
		"console":     {"127.0.0.1:8088:8088"},
	}
	want["slack"] = []string{"127.0.0.1:8089:8089"}
	for _, env := range []map[string]string{nil, {"INGRESS_BIND": "0.0.0.0"}} {
		f, err := composefile.Read(t.Context(), filepath.Join(root, "compose.yaml"), env)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for name, s := range f.Services {
			for _, p := range s.Ports {
				got[name] = append(got[name], portText(p))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ports (-want +got):\n%s", diff)
		}
	}
}

// portText is a port as compose.yaml has it.
func portText(p types.ServicePortConfig) string {
	return fmt.Sprintf("%s:%s:%d", p.HostIP, p.Published, p.Target)
}

// mounts are the volumes of a service as source:target:ro or source:target:rw.
func mounts(s types.ServiceConfig) []string {
	var texts []string
	for _, v := range s.Volumes {
		texts = append(texts, v.String())
	}
	return texts
}

// published marks the secrets of compose.yaml.
const published = "dev-only-change-me"

// secretNames are the variables that production wants set by a person.
func secretNames() []string {
	return []string{
		"ALERTING_TOKEN", "ANALYTICS_TOKEN", "CLICKHOUSE_ANALYST_PASSWORD", "CLICKHOUSE_CONSOLE_PASSWORD", "CLICKHOUSE_PASSWORD", "CONSOLE_USERS", "MAILJET_HOOK_PASSWORD",
		"MAILSTREAM_PEPPER", "SLACK_WEBHOOK_URL", "SUPPRESSION_TOKEN",
	}
}

// consoleUsers are a user as an operator makes one, with a hash that is in no example.
const consoleUsers = "ana:admin:$2b$10$rizgzLFhTB5CuAu2xyGPcutb1c/TtJSOPUntS7s14wMFozuoY8z9m"

// filled is .env.example with every secret set.
func filled(t *testing.T) map[string]string {
	t.Helper()
	env := envExample(t)
	for _, name := range secretNames() {
		env[name] = "1f0c9d7e5b3a2846" + strings.ToLower(name)
	}
	env["CONSOLE_USERS"] = consoleUsers
	env["SLACK_WEBHOOK_URL"] = "https://hooks.slack.com/services/T/B/x"
	return env
}

func TestCompose_ProductionRefusesToStartWithoutASecret(t *testing.T) {
	t.Parallel()
	for name, value := range envExample(t) {
		if slices.Contains(secretNames(), name) != (value == "") {
			t.Errorf("%s=%q: the secrets of .env.example are empty, all else is set", name, value)
		}
	}
	for _, name := range secretNames() {
		env := filled(t)
		env[name] = ""
		if _, err := production(t, env); err == nil || !strings.Contains(err.Error(), name+" is missing a value: set "+name+" in .env") {
			t.Errorf("without %s: %v, want a message that names it", name, err)
		}
	}
}

// Production is compose.yaml with another mode, secrets of its own, and no
// stand-in; the port of the ingress is where a person says.
func TestCompose_ProductionChangesModeSecretsAndSlackAlone(t *testing.T) {
	t.Parallel()
	env := filled(t)
	env["INGRESS_BIND"] = "10.0.0.5"
	got, err := production(t, env)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range got.Services {
		base := compose(t).Services[name]
		switch name {
		case "ingress":
			if len(s.Ports) != 1 || portText(s.Ports[0]) != "10.0.0.5:8080:8080" {
				t.Errorf("ports of the ingress: %v", s.Ports)
			}
			s.Ports = base.Ports
		case "slack":
			if !slices.Equal(s.Profiles, []string{"development"}) {
				t.Errorf("the stand-in starts: %v", s.Profiles)
			}
			s.Profiles = nil
		}
		before := base.Environment.ToMapping()
		for variable, value := range s.Environment.ToMapping() {
			_, there := before[variable]
			if strings.Contains(value, published) || !there && variable != "CLICKHOUSE_ANALYST_PASSWORD" && variable != "CLICKHOUSE_CONSOLE_PASSWORD" {
				t.Errorf("%s: %s=%s", name, variable, value)
			}
			if variable == "MAILSTREAM_MODE" && (before[variable] != "development" || value != "production") {
				t.Errorf("%s: mode %s becomes %s", name, before[variable], value)
			}
		}
		if s.Image == "mailstream:dev" && s.Environment.ToMapping()["MAILSTREAM_MODE"] != "production" {
			t.Errorf("%s is not in production", name)
		}
		s.Environment = base.Environment
		if diff := cmp.Diff(base, s); diff != "" {
			t.Errorf("%s (-development +production):\n%s", name, diff)
		}
	}
}

func TestEnvExample_ListsTheVariablesOfComposeAndNoOthers(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(readFile(t, "compose.yaml")+readFile(t, "compose.production.yaml"), -1) {
		used[m[1]] = true
	}
	// Mentioned in a comment of .env.example: setting them is for the few.
	delete(used, "KAFKA_CPUS")
	delete(used, "CLICKHOUSE_CPUS")
	used["COMPOSE_FILE"] = true // read by docker compose itself
	want := slices.Sorted(maps.Keys(used))
	got := slices.Sorted(maps.Keys(envExample(t)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-compose.yaml +.env.example):\n%s", diff)
	}
}

func TestCompose_PinsImagesAndBuildsOursOnce(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`:(v?\d+\.\d+(\.\d+)*)(@sha256:[0-9a-f]{64})?$`)
	for name, s := range compose(t).Services {
		_, service := ours[name]
		if service || slices.Contains(oneShots, name) {
			if s.Image != "mailstream:dev" {
				t.Errorf("%s: image %q, want ours", name, s.Image)
			}
			if (s.Build != nil) != (name == "topics") {
				t.Errorf("%s: the image is built by the service that starts first, and only there", name)
			}
			continue
		}
		if name == "slack" {
			if s.Image != "mailstream-slack:dev" || s.Build == nil {
				t.Errorf("slack: image %q, build %v", s.Image, s.Build)
			}
			continue
		}
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %q is not pinned to a version", name, s.Image)
		}
	}
}

func TestCompose_KafkaIsTheVersionTheTestsRun(t *testing.T) {
	t.Parallel()
	if got, want := compose(t).Services["kafka"].Image, "apache/kafka:"+apachekafka.Version; got != want {
		t.Errorf("image = %s, want %s", got, want)
	}
	if pom := readFile(t, "devstack/apachekafka/pom.xml"); strings.Count(pom, "<version>"+apachekafka.Version+"</version>") != 2 {
		t.Errorf("pom.xml does not fetch version %s of both jars", apachekafka.Version)
	}
}

func TestCompose_ContainersMayDoLittle(t *testing.T) {
	t.Parallel()
	for name, s := range compose(t).Services {
		uid, _, _ := strings.Cut(s.User, ":")
		if uid == "" || uid == "0" || uid == "root" {
			t.Errorf("%s runs as user %q", name, s.User)
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 {
			t.Errorf("%s: capabilities: drop %v, add %v, want all dropped", name, s.CapDrop, s.CapAdd)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges", name)
		}
		if s.MemLimit == 0 {
			t.Errorf("%s may take all memory", name)
		}
		if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("%s: its log may fill the disk", name)
		}
		if s.StopGracePeriod == nil {
			t.Errorf("%s: no time to stop in order", name)
		}
		if _, service := ours[name]; service && !s.ReadOnly {
			t.Errorf("%s may write to its own files", name)
		}
		want := "unless-stopped"
		if slices.Contains(oneShots, name) {
			want = "no"
		}
		if s.Restart != want {
			t.Errorf("%s: restart %q, want %q", name, s.Restart, want)
		}
	}
}

func TestCompose_ServicesAreAskedWhetherTheyAreReady(t *testing.T) {
	t.Parallel()
	services := compose(t).Services
	for name, port := range ours {
		s := services[name]
		if s.HealthCheck == nil {
			t.Errorf("%s has no health check", name)
			continue
		}
		want := []string{"CMD", "/mailstream", "healthcheck", "--url", "http://127.0.0.1:" + port + "/readyz"}
		if diff := cmp.Diff(want, []string(s.HealthCheck.Test)); diff != "" {
			t.Errorf("%s health check (-want +got):\n%s", name, diff)
		}
		if got := s.Environment.ToMapping()["MAILSTREAM_"+strings.ToUpper(name)+"_LISTEN"]; got != "0.0.0.0:"+port {
			t.Errorf("%s listens on %q, want port %s", name, got, port)
		}
		if got := s.Environment.ToMapping()["MAILSTREAM_"+strings.ToUpper(name)+"_METRICS_LISTEN"]; got != "0.0.0.0:"+metricsPort(port) {
			t.Errorf("metrics of %s are at %q, want port %s", name, got, metricsPort(port))
		}
		if s.Command[0] != name {
			t.Errorf("%s runs the command %v", name, s.Command)
		}
	}
	for _, name := range []string{"kafka", "clickhouse"} {
		if services[name].HealthCheck == nil {
			t.Errorf("%s has no health check", name)
		}
	}
}

func TestCompose_MountsExistAndDataHasVolumes(t *testing.T) {
	t.Parallel()
	f := compose(t)
	used := map[string]bool{}
	for name, s := range f.Services {
		for _, mount := range s.Volumes {
			if mount.Type == types.VolumeTypeVolume {
				used[mount.Source] = true
				if _, declared := f.Volumes[mount.Source]; !declared {
					t.Errorf("%s: volume %q is not declared", name, mount.Source)
				}
				continue
			}
			if _, err := os.Stat(filepath.Join(root, mount.Source)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !mount.ReadOnly {
				t.Errorf("%s may write to %s", name, mount.Source)
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(f.Volumes)), slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("volumes (-declared +used):\n%s", diff)
	}
	kafka := f.Services["kafka"]
	if at := kafka.Environment.ToMapping()["KAFKA_LOG_DIRS"]; !slices.Contains(mounts(kafka), "kafka-data:"+at+":rw") {
		t.Errorf("Kafka writes to %s, its volumes are %v", at, mounts(kafka))
	}
	suppression := f.Services["suppression"]
	if at := suppression.Environment.ToMapping()["MAILSTREAM_STATE_DIR"]; !slices.Contains(mounts(suppression), "suppression-state:"+at+":rw") {
		t.Errorf("suppression writes to %s, its volumes are %v", at, mounts(suppression))
	}
}

func TestDockerfile_BuildsWithTheGoOfTheWorkspaceAndRunsUnprivileged(t *testing.T) {
	t.Parallel()
	text := readFile(t, "deploy/Dockerfile")
	var images []string
	user := ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "FROM":
			i := 1
			for strings.HasPrefix(words[i], "--") {
				i++
			}
			images = append(images, words[i])
		case words[0] == "USER":
			user = words[1]
		}
	}
	if len(images) != 2 || !regexp.MustCompile(`^golang:\d+\.\d+\.\d+$`).MatchString(images[0]) || images[1] != "scratch" {
		t.Errorf("images = %v, want a pinned golang and scratch", images)
	}
	goLine := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, "go.work"))
	if !strings.HasPrefix(images[0], "golang:"+goLine[1]+".") {
		t.Errorf("image %s builds a workspace of Go %s", images[0], goLine[1])
	}
	if user != compose(t).Services["ingress"].User || strings.HasPrefix(user, "0") {
		t.Errorf("USER %q, compose.yaml has %q", user, compose(t).Services["ingress"].User)
	}
	const at = "services/internal/platform/telemetry"
	stamped := strings.Contains(text, "ARG TELEMETRY=github.com/mailstream/mailstream/"+at+"\n") &&
		strings.Contains(text, "-X $TELEMETRY.version=") && strings.Contains(text, "-X $TELEMETRY.revision=")
	if !stamped || !strings.Contains(readFile(t, at+"/build.go"), "\nvar version, revision string\n") {
		t.Error("version and revision are not stamped into the variables that hold them")
	}
}
