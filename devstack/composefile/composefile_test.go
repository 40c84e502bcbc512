package composefile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/devstack/composefile"
)

func TestInterpolate_FillsInAsComposeDoes(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SET": "value", "EMPTY": ""}
	tests := []struct {
		name, in, want string
	}{
		{"plain text", "a: b", "a: b"},
		{"bare name", "x-$SET-y", "x-value-y"},
		{"braces", "x${SET}y", "xvaluey"},
		{"unset is empty", "[${UNSET}]", "[]"},
		{"dollar escape", "cost $$5 $${SET}", "cost $5 ${SET}"},
		{"default when unset", "${UNSET:-d}", "d"},
		{"default when empty with colon", "${EMPTY:-d}", "d"},
		{"empty stays empty without colon", "[${EMPTY-d}]", "[]"},
		{"default is not used when set", "${SET:-d}", "value"},
		{"default holds a url", "${UNSET:-http://h:1/p}", "http://h:1/p"},
		{"nested default", "${UNSET:-${EMPTY:-${SET}}}", "value"},
		{"required and set", "${SET:?must be set}", "value"},
		{"empty passes the check without colon", "[${EMPTY?must be set}]", "[]"},
		{"other when set", "${SET:+o}${EMPTY:+o}${UNSET+o}", "o"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := composefile.Interpolate(tt.in, env)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("Interpolate(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestInterpolate_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"required and unset", "${PEPPER:?see .env.example}", "PEPPER is required: see .env.example"},
		{"required and empty", "${EMPTY:?see .env.example}", "EMPTY is required"},
		{"unclosed", "${SET", "unclosed brace"},
		{"no name", "${:-x}", "no variable name"},
		{"lone dollar", "a $ b", "no variable name"},
		{"unknown operator", "${SET!x}", "operator"},
		{"colon alone", "${SET:}", "nothing after the colon"},
		{"too deep", strings.Repeat("${U:-", 40) + "x" + strings.Repeat("}", 40), "nested deeper"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := composefile.Interpolate(tt.in, map[string]string{"SET": "s", "EMPTY": ""})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Interpolate(%q) = %q, %v, want an error with %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func FuzzInterpolate(f *testing.F) {
	for _, seed := range []string{"$A", "${A:-${B}}", "${A:?m}", "$$", "${", "${A:+}}"} {
		f.Add(seed)
	}
	env := map[string]string{"A": "a"}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := composefile.Interpolate(in, env)
		if err == nil && !strings.Contains(in, "$") && out != in {
			t.Errorf("Interpolate(%q) = %q: text without variables changed", in, out)
		}
	})
}

func TestParse_ReadsServicesAnchorsAndBothFormsOfEnvironment(t *testing.T) {
	t.Parallel()
	f, err := composefile.Parse([]byte(`
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
      EMPTY:
      TEXT: "${MISSING:-text}"
    depends_on:
      b: {condition: service_healthy}
  b:
    image: other:1
    command: serve
    environment: [X=1, "Y=a=b"]
`), map[string]string{"TAG": "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]composefile.Service{
		"a": {
			Image: "img:1.2", Restart: "unless-stopped", CapDrop: []string{"ALL"},
			Environment: composefile.Variables{
				"SHARED": "one", "NUMBER": "12", "FLAG": "true", "EMPTY": "", "TEXT": "text",
			},
			DependsOn: map[string]composefile.Dependency{"b": {Condition: "service_healthy"}},
		},
		"b": {
			Image: "other:1", Command: composefile.Words{"serve"},
			Environment: composefile.Variables{"X": "1", "Y": "a=b"},
		},
	}
	if diff := cmp.Diff(want, f.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func TestParse_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"not yaml", "a: [", "decode yaml"},
		{"unknown key of a service", "services: {a: {imagee: x}}", "imagee"},
		{"missing variable", "services: {a: {image: \"${TAG:?pin it}\"}}", ".services.a.image: variable TAG is required: pin it"},
		{"nested environment", "services: {a: {environment: {A: {b: c}}}}", "want a scalar"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := composefile.Parse([]byte(tt.in), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestRead_LaysFilesOverEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base, over := filepath.Join(dir, "base.yaml"), filepath.Join(dir, "over.yaml")
	write(t, base, "services:\n  a:\n    image: i:1\n    command: [run, fast]\n    environment: {A: 1, B: 2}\n    ports: [\"1:1\"]\n    cap_drop: [ALL]\n  b: {image: j}\n")
	write(t, over, "x-env: &env {B: 3}\nservices:\n  a:\n    command: [stop]\n    environment:\n      <<: *env\n      C: 4\n    ports: !override\n      - \"${P}:1\"\n    cap_drop: [MORE]\n")
	f, err := composefile.Read(base, map[string]string{"P": "9"}, over)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]composefile.Service{
		"a": {
			Image: "i:1", Command: composefile.Words{"stop"}, Environment: composefile.Variables{"A": "1", "B": "3", "C": "4"},
			Ports: []string{"9:1"}, CapDrop: []string{"ALL", "MORE"},
		},
		"b": {Image: "j"},
	}
	if diff := cmp.Diff(want, f.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
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
		{"no equals sign", "A=1\nnonsense\n", "line 2"},
		{"twice", "A=1\nA=2\n", "A is set twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), ".env")
			write(t, path, tt.in)
			_, err := composefile.ReadEnv(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ReadEnv = %v, want an error with %q", err, tt.want)
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
