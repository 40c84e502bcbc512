// Package composefile reads compose.yaml, the files laid over it and a .env file
// with the loader of Docker Compose itself, so that tests look at what
// `docker compose up` would start. It does not run containers.
package composefile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// Read reads the compose file at path with those of over on top of it, as
// `docker compose -f path -f over` does. The variables come from env, which
// stands for the .env file and the shell's environment together; the process's
// own environment is not looked at. The services of every profile are in the
// result, and paths in it are as they are written.
//
// Each file must be valid with those before it. That makes it possible to name
// the file in an error, which the loader does not always do.
func Read(ctx context.Context, path string, env map[string]string, over ...string) (*types.Project, error) {
	details := types.ConfigDetails{WorkingDir: filepath.Dir(path), Environment: types.Mapping{}.Merge(env)}
	var project *types.Project
	for _, name := range append([]string{path}, over...) {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: name})
		var err error
		if project, err = loader.LoadWithContext(ctx, details, asWritten); err != nil {
			return nil, fmt.Errorf("read compose file %s: %w", name, err)
		}
	}
	return project, nil
}

// asWritten keeps the loader from adding what no file says.
func asWritten(o *loader.Options) {
	o.Profiles = []string{"*"}
	o.ResolvePaths = false
	o.SkipNormalization = true
	o.SetProjectName("unnamed", false) // a file without a name is not an error
}

// ReadEnv reads a .env file as Docker Compose does, and refuses two mistakes that
// Compose takes without a word: a variable that is set twice, and a line without
// an equals sign. A value of several lines is therefore refused too.
func ReadEnv(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read env file: %w", err)
	}
	seen := map[string]bool{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, found := strings.Cut(line, "=")
		switch {
		case !found:
			return nil, fmt.Errorf("read env file %s line %d: write NAME=value", path, number)
		case seen[name]:
			return nil, fmt.Errorf("read env file %s line %d: %s is set twice", path, number, name)
		}
		seen[name] = true
	}
	env, err := dotenv.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read env file %s: %w", path, err)
	}
	return env, nil
}
