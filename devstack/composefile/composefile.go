// Package composefile reads the parts of compose.yaml and of a .env file that
// tests need: the services with their environment, variables filled in as
// `docker compose` fills them in, and several files laid over each other as it
// lays them. The same files a person starts are thereby those the tests start
// from. It does not run containers or check a file against the whole compose
// specification.
package composefile

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// File is a compose file after interpolation.
type File struct {
	// Services by name.
	Services map[string]Service `yaml:"services"`
	// Volumes are the named volumes; the values are the drivers' business.
	Volumes map[string]any `yaml:"volumes"`
	// Networks are the named networks.
	Networks map[string]Network `yaml:"networks"`
	// Configs are files handed to services by name.
	Configs map[string]Config `yaml:"configs"`
}

// Network is one named network.
type Network struct {
	// Internal is true when the network has no way out.
	Internal bool `yaml:"internal"`
}

// Config is a file of the host that services mount by name.
type Config struct {
	// File is the path, relative to the compose file.
	File string `yaml:"file"`
}

// Service is one container as compose.yaml describes it.
type Service struct {
	Image           string                `yaml:"image"`
	Build           *Build                `yaml:"build"`
	Command         Words                 `yaml:"command"`
	Entrypoint      Words                 `yaml:"entrypoint"`
	User            string                `yaml:"user"`
	Hostname        string                `yaml:"hostname"`
	Environment     Variables             `yaml:"environment"`
	Ports           []string              `yaml:"ports"`
	Volumes         []string              `yaml:"volumes"`
	Configs         []Mount               `yaml:"configs"`
	Networks        []string              `yaml:"networks"`
	Tmpfs           Words                 `yaml:"tmpfs"`
	DependsOn       map[string]Dependency `yaml:"depends_on"`
	Healthcheck     *Healthcheck          `yaml:"healthcheck"`
	Restart         string                `yaml:"restart"`
	ReadOnly        bool                  `yaml:"read_only"`
	SecurityOpt     []string              `yaml:"security_opt"`
	CapDrop         []string              `yaml:"cap_drop"`
	CapAdd          []string              `yaml:"cap_add"`
	StopGracePeriod string                `yaml:"stop_grace_period"`
	MemLimit        string                `yaml:"mem_limit"`
	CPUs            string                `yaml:"cpus"`
	PidsLimit       int                   `yaml:"pids_limit"`
	Init            bool                  `yaml:"init"`
	Ulimits         map[string]any        `yaml:"ulimits"`
	Logging         *Logging              `yaml:"logging"`
	Profiles        []string              `yaml:"profiles"`
}

// Build says how an image of ours is made.
type Build struct {
	Context    string    `yaml:"context"`
	Dockerfile string    `yaml:"dockerfile"`
	Args       Variables `yaml:"args"`
}

// Mount gives a Config a place inside a container.
type Mount struct {
	Source string `yaml:"source"`
	Target string `yaml:"target"`
}

// Dependency is the state another service must reach first:
// service_started, service_healthy or service_completed_successfully.
type Dependency struct {
	Condition string `yaml:"condition"`
}

// Healthcheck is the command whose exit code says whether a container works.
type Healthcheck struct {
	Test          []string `yaml:"test"`
	Interval      string   `yaml:"interval"`
	Timeout       string   `yaml:"timeout"`
	Retries       int      `yaml:"retries"`
	StartPeriod   string   `yaml:"start_period"`
	StartInterval string   `yaml:"start_interval"`
}

// Logging names the log driver and its options, such as the rotation.
type Logging struct {
	Driver  string            `yaml:"driver"`
	Options map[string]string `yaml:"options"`
}

// Read reads the compose file at path, lays those of over on top of it, as
// `docker compose -f path -f over` does, and fills in the variables from env,
// which stands for the .env file and the shell's environment together. A key that
// File does not know is an error, so that a test never believes a setting it has
// not looked at.
func Read(path string, env map[string]string, over ...string) (*File, error) {
	var tree map[string]any
	for _, name := range append([]string{path}, over...) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read compose file: %w", err)
		}
		next, replaced, err := parseTree(data, env)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		tree = lay(tree, next, "", replaced)
	}
	f, err := decode(tree)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return f, nil
}

// Parse is Read for the bytes of one file.
func Parse(data []byte, env map[string]string) (*File, error) {
	tree, _, err := parseTree(data, env)
	if err != nil {
		return nil, err
	}
	return decode(tree)
}

// parseTree returns the content of a file with its variables filled in, and the
// places of what is marked !override: it replaces what lies below instead of
// being added to it.
func parseTree(data []byte, env map[string]string) (tree map[string]any, replaced map[string]bool, err error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, nil, fmt.Errorf("decode yaml: %w", err)
	}
	replaced = map[string]bool{}
	takeOverrides(&root, "", replaced)
	if err := root.Decode(&tree); err != nil {
		return nil, nil, fmt.Errorf("decode yaml: %w", err)
	}
	// Extension fields hold the anchors; decoding has already copied them to
	// where they are used.
	maps.DeleteFunc(tree, func(key string, _ any) bool { return strings.HasPrefix(key, "x-") || key == "name" })
	filled, err := interpolateTree("", tree, env)
	if err != nil {
		return nil, nil, err
	}
	return filled.(map[string]any), replaced, nil // it was one
}

const overrideTag = "!override"

// takeOverrides notes the places of !override and takes the tag away.
func takeOverrides(n *yaml.Node, path string, found map[string]bool) {
	if n.Tag == overrideTag {
		found[path], n.Tag = true, ""
		n.Style &^= yaml.TaggedStyle
	}
	for i, child := range n.Content {
		switch {
		case n.Kind != yaml.MappingNode:
			takeOverrides(child, path, found)
		case i%2 == 1:
			takeOverrides(child, path+"."+n.Content[i-1].Value, found)
		}
	}
}

// lay returns base with over on top: mappings are merged, lists added to, all
// else is replaced. The words of a command are one value.
func lay(base, over map[string]any, path string, replaced map[string]bool) map[string]any {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for key, value := range over {
		at := path + "." + key
		switch value := value.(type) {
		case map[string]any:
			if below, ok := out[key].(map[string]any); ok && !replaced[at] {
				out[key] = lay(below, value, at, replaced)
				continue
			}
		case []any:
			if below, ok := out[key].([]any); ok && !replaced[at] && key != "command" && key != "entrypoint" && key != "test" {
				out[key] = append(append([]any{}, below...), value...)
				continue
			}
		}
		out[key] = value
	}
	return out
}

// decode reads a whole tree into a File.
func decode(tree map[string]any) (*File, error) {
	flat, err := yaml.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("encode interpolated yaml: %w", err)
	}
	var f File
	if err := yaml.Load(flat, &f, yaml.WithKnownFields()); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decode services: %w", err)
	}
	return &f, nil
}

// Words is a list of strings that may be written as one.
type Words []string

// UnmarshalYAML takes a list, or one string that becomes a list of one.
func (w *Words) UnmarshalYAML(n *yaml.Node) error {
	var list []string
	if err := n.Decode(&list); err == nil {
		*w = list
		return nil
	}
	var one string
	if err := n.Decode(&one); err != nil {
		return fmt.Errorf("decode list or string: %w", err)
	}
	*w = Words{one}
	return nil
}

// Variables is an environment, which compose takes as a map or as a list of
// NAME=value. Numbers and booleans become the text that was written.
type Variables map[string]string

// UnmarshalYAML takes both forms.
func (v *Variables) UnmarshalYAML(n *yaml.Node) error {
	*v = Variables{}
	var list []string
	if err := n.Decode(&list); err == nil {
		for _, item := range list {
			name, value, _ := strings.Cut(item, "=")
			(*v)[name] = value
		}
		return nil
	}
	var scalars map[string]any
	if err := n.Decode(&scalars); err != nil {
		return fmt.Errorf("decode environment: %w", err)
	}
	for name, value := range scalars {
		switch value := value.(type) {
		case nil:
			(*v)[name] = ""
		case map[string]any, []any:
			return fmt.Errorf("decode environment %s: want a scalar, got %T", name, value)
		default:
			(*v)[name] = fmt.Sprint(value)
		}
	}
	return nil
}
