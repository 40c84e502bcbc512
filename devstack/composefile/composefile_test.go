package composefile_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/devstack/composefile"
)

// fileName is what parse calls its file.
const fileName = "fragment.yaml"

// parse reads one compose file with this text.
func parse(t *testing.T, text string, env map[string]string) (*types.Project, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), fileName)
	write(t, path, text)
	return composefile.Read(t.Context(), path, env)
}

// hostname is a compose file whose service a has this value as its host name.
func hostname(value string) string {
	return "services: {a: {image: i, hostname: '" + value + "'}}"
}

func TestRead_FillsInVariables(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SET": "value", "EMPTY": ""}
	tests := []struct {
		name, in, want string
	}{
		{"plain text", "a: b", "a: b"},
		{"bare name", "x-$SET-y", "x-value-y"},
		{"braces", "x${SET}y", "xvaluey"},
		{"unset is empty", "[${UNSET}]", "[]"},
		{"not of the process", "[${PATH}]", "[]"},
		{"dollar escape", "cost $$5 $${SET}", "cost $5 ${SET}"},
		{"lone dollar", "a $ b", "a $ b"},
		{"default when unset", "${UNSET:-d}", "d"},
		{"default when empty with colon", "${EMPTY:-d}", "d"},
		{"empty stays empty without colon", "[${EMPTY-d}]", "[]"},
		{"default is not used when set", "${SET:-d}", "value"},
		{"default holds a url", "${UNSET:-http://h:1/p}", "http://h:1/p"},
		{"nested default", "${UNSET:-${EMPTY:-${SET}}}", "value"},
		{"deep", strings.Repeat("${U:-", 40) + "x" + strings.Repeat("}", 40), "x"},
		{"required and set", "${SET:?must be set}", "value"},
		{"empty passes the check without colon", "[${EMPTY?must be set}]", "[]"},
		{"other when set", "${SET:+o}${EMPTY:+o}${UNSET+o}", "o"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := parse(t, hostname(tt.in), env)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Services["a"].Hostname; got != tt.want {
				t.Errorf("%q becomes %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestRead_NamesTheVariableThatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"required and unset", "${PEPPER:?see .env.example}", "PEPPER is missing a value: see .env.example"},
		{"required and empty", "${EMPTY:?see .env.example}", "EMPTY is missing a value: see .env.example"},
		{"unclosed", "${SET", "${SET"},
		{"no name", "${:-x}", "${:-x}"},
		{"unknown operator", "${SET!x}", "${SET!x}"},
		{"colon alone", "${SET:}", "${SET:}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, hostname(tt.in), map[string]string{"SET": "s", "EMPTY": ""})
			for _, want := range []string{fileName, "services.a.hostname", tt.want} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q: %v, want an error with %q", tt.in, err, want)
				}
			}
		})
	}
}

func TestRead_ReadsServicesAnchorsAndBothFormsOfEnvironment(t *testing.T) {
	t.Parallel()
	f, err := parse(t, `
name: demo
x-base: &base
  restart: unless-stopped
  cap_drop: [ALL]
x-env: &env
  SHARED: one
services:
  a:
    <<: *base
    image: "img:${TAG}"
    environment:
      <<: *env
      NUMBER: 12
      FLAG: true
      EMPTY: ""
      TEXT: "${MISSING:-text}"
    depends_on:
      b: {condition: service_healthy}
    volumes: ["./d:/d:ro"]
  b:
    image: other:1
    command: serve
    environment: [X=1, "Y=a=b"]
    profiles: [seldom]
`, map[string]string{"TAG": "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	want := types.Services{
		"a": {
			Name: "a",
			ContainerSpec: types.ContainerSpec{
				Image: "img:1.2", CapDrop: []string{"ALL"},
				Environment: types.NewMappingWithEquals([]string{"SHARED=one", "NUMBER=12", "FLAG=true", "EMPTY=", "TEXT=text"}),
				Volumes: []types.ServiceVolumeConfig{{
					Type: "bind", Source: "./d", Target: "/d", ReadOnly: true,
					Bind: &types.ServiceVolumeBind{CreateHostPath: true},
				}},
			},
			WorkloadSpec: types.WorkloadSpec{DependsOn: types.DependsOnConfig{"b": {Condition: "service_healthy", Required: true}}},
			Restart:      "unless-stopped",
		},
		"b": {
			Name: "b", Profiles: []string{"seldom"},
			ContainerSpec: types.ContainerSpec{
				Image: "other:1", Command: types.ShellCommand{"serve"},
				Environment: types.NewMappingWithEquals([]string{"X=1", "Y=a=b"}),
			},
		},
	}
	if diff := cmp.Diff(want, f.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func TestRead_RefusesWhatIsNoComposeFile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []string
	}{
		{"not yaml", "a: [", []string{"yaml"}},
		{"unknown key of a file", "servises: {}", []string{"servises"}},
		{"unknown key of a service", "services: {a: {imagee: x}}", []string{"services.a.imagee"}},
		{"a key twice", "services: {a: {image: x, image: y}}", []string{`"image"`, "line 1"}},
		{"missing variable", "services: {a: {image: \"${TAG:?pin it}\"}}", []string{"services.a.image", "TAG", "pin it"}},
		{"nested environment", "services: {a: {image: x, environment: {A: {b: c}}}}", []string{"services.a.environment.A"}},
		{"not a size", "services: {a: {image: x, mem_limit: much}}", []string{"services[a].mem_limit", "much"}},
		{"unknown service", "services: {a: {image: x, depends_on: [b]}}", []string{`"a"`, `"b"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, tt.in, nil)
			for _, want := range append(tt.want, fileName) {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Read = %v, want an error with %q", err, want)
				}
			}
		})
	}
}

func TestRead_LaysFilesOverEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base, over := filepath.Join(dir, "base.yaml"), filepath.Join(dir, "over.yaml")
	write(t, base, "services:\n  a:\n    image: i:1\n    command: [run, fast]\n    environment: {A: 1, B: 2}\n    ports: [\"1:1\"]\n    cap_drop: [ALL]\n  b: {image: j}\n")
	write(t, over, "x-env: &env {B: 3}\nservices:\n  a:\n    command: [stop]\n    environment:\n      <<: *env\n      C: 4\n    ports: !override\n      - \"${P:?set P}:1\"\n    cap_drop: [MORE]\n")
	f, err := composefile.Read(t.Context(), base, map[string]string{"P": "9"}, over)
	if err != nil {
		t.Fatal(err)
	}
	a := f.Services["a"]
	if len(f.Services) != 2 || a.Image != "i:1" || !slices.Equal(a.Command, []string{"stop"}) || !slices.Equal(a.CapDrop, []string{"ALL", "MORE"}) {
		t.Errorf("of %d services, a = %+v", len(f.Services), a)
	}
	if diff := cmp.Diff(types.Mapping{"A": "1", "B": "3", "C": "4"}, a.Environment.ToMapping()); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if len(a.Ports) != 1 || a.Ports[0].Published != "9" || a.Ports[0].Target != 1 {
		t.Errorf("ports = %+v, want the one of the upper file", a.Ports)
	}

	_, err = composefile.Read(t.Context(), base, nil, over)
	if err == nil || !strings.Contains(err.Error(), over) || strings.Contains(err.Error(), base) {
		t.Errorf("without P: %v, want an error that names the upper file alone", err)
	}
}

func TestRead_NamesTheFileThatIsMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := composefile.Read(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Read = %v, want an error with %s", err, path)
	}
}

func TestReadEnv_ReadsQuotesAndComments(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".env")
	write(t, path, "# head\n\nA=1\nB=\"two words\"\nC='x # y'\nD=v # note\nE=\nF=a=b\n")
	got, err := composefile.ReadEnv(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": "1", "B": "two words", "C": "x # y", "D": "v", "E": "", "F": "a=b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
}

func TestReadEnv_NamesTheWrongLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"no equals sign", "A=1\nnonsense here\n", "line 2"},
		{"a name alone", "A=1\nnonsense\n", "line 2"},
		{"twice", "A=1\nA=2\n", "line 2: A is set twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), ".env")
			write(t, path, tt.in)
			_, err := composefile.ReadEnv(path)
			for _, want := range []string{path, tt.want} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("ReadEnv = %v, want an error with %q", err, want)
				}
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
