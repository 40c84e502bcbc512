package apachekafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/devstack/composefile"
)

const (
	// startTriesMax: another process may take a port between the search and the
	// bind; three in a row means something else is wrong.
	startTriesMax = 3
	// serviceName of the broker in compose.yaml.
	serviceName = "kafka"
)

// plan is all that brokers need before they have folders and ports.
type plan struct {
	dir      string // absolute
	jars     string
	settings Properties // of compose.yaml, overruled by the caller's
	log      io.Writer
}

// newPlan reads the settings and fetches what is missing.
func newPlan(ctx context.Context, o Options) (*plan, error) {
	if o.DataDir == "" {
		return nil, errors.New("start broker: no data folder given")
	}
	// Absolute, because the server runs in this folder.
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data folder: %w", err)
	}
	settings, err := composeProperties(ctx, o.ComposeFile)
	if err != nil {
		return nil, err
	}
	maps.Copy(settings, o.Properties)
	if _, err := exec.LookPath("java"); err != nil {
		return nil, fmt.Errorf("find Java 17 or later (or give a running broker's address): %w", err)
	}
	jars, err := fetchJars(ctx, o.CacheDir, o.Log)
	if err != nil {
		return nil, err
	}
	return &plan{dir: dir, jars: jars, settings: settings, log: o.Log}, nil
}

// composeProperties is the server.properties the image makes of compose.yaml.
func composeProperties(ctx context.Context, path string) (Properties, error) {
	if path == "" {
		found, err := findUpwards("compose.yaml")
		if err != nil {
			return nil, err
		}
		path = found
	}
	file, err := composefile.Read(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	service, found := file.Services[serviceName]
	if !found {
		return nil, fmt.Errorf("read %s: no service %q", path, serviceName)
	}
	return FromEnvironment(service.Environment.ToMapping()), nil
}

// findUpwards returns the path of the file name in the working directory or
// the nearest folder above it.
func findUpwards(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find working directory: %w", err)
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find %s: neither in the working directory nor above it", name)
		}
		dir = parent
	}
}

// start starts one cluster, a broker in each of dirs, and returns when all
// answer. A port that was taken meanwhile is replaced.
func (p *plan) start(ctx context.Context, dirs []string) ([]*Broker, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for try := 1; ; try++ {
		brokers, err := p.prepare(dirs)
		if err == nil {
			err = launchAll(ctx, brokers)
		}
		if err == nil {
			return brokers, nil
		}
		if !errors.Is(err, errPortTaken) || try == startTriesMax {
			return nil, err
		}
		say(p.log, "port was taken between search and start, trying others")
	}
}

// prepare gives each broker its ports and writes its settings.
func (p *plan) prepare(dirs []string) ([]*Broker, error) {
	names, err := p.settings.listenerNames()
	if err != nil {
		return nil, err
	}
	clusterID, err := storedClusterID(logDir(dirs[0]))
	if err != nil {
		return nil, err
	}
	if clusterID == "" {
		clusterID = newClusterID()
	}
	ports := make([]map[string]int, len(dirs))
	var voters []string
	for i := range dirs {
		if ports[i], err = freePorts(names); err != nil {
			return nil, err
		}
		voters = append(voters, strconv.Itoa(i+1)+"@"+loopback(ports[i][p.settings.controllerListener()]))
	}
	brokers := make([]*Broker, len(dirs))
	for i, dir := range dirs {
		settings := maps.Clone(p.settings)
		settings["node.id"] = strconv.Itoa(i + 1)
		at := placement{ports: ports[i], voters: strings.Join(voters, ","), logDir: logDir(dir)}
		if err := settings.place(at); err != nil {
			return nil, err
		}
		b := &Broker{
			address: loopback(ports[i][settings.clientListener()]), ports: ports[i], clusterID: clusterID, id: int32(i + 1),
			dir: dir, jars: p.jars, log: p.log,
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
		if err := os.WriteFile(b.settingsPath(), []byte(settings.String()), 0o644); err != nil {
			return nil, fmt.Errorf("write settings: %w", err)
		}
		brokers[i] = b
	}
	return brokers, nil
}

// logDir holds the records of the broker in dir.
func logDir(dir string) string { return filepath.Join(dir, "log") }

// newClusterID makes the id by which a start recognises its own brokers among
// others on the same ports.
func newClusterID() string {
	var id [16]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(id[:])
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// launchAll formats what is new and starts the brokers together, because none
// answers before most of them are there. When one fails, all are ended.
func launchAll(ctx context.Context, brokers []*Broker) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range brokers {
		group.Go(func() error {
			id, err := storedClusterID(logDir(b.dir))
			if err != nil {
				return err
			}
			if id == "" {
				if err := b.format(ctx); err != nil {
					return err
				}
			}
			return b.launch(ctx)
		})
	}
	err := group.Wait()
	if err == nil {
		return nil
	}
	for _, b := range brokers {
		err = errors.Join(err, b.Kill())
	}
	return err
}

// storedClusterID reads the id a folder was formatted with, "" if it was not.
func storedClusterID(logDir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(logDir, "meta.properties"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read cluster id: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if id, found := strings.CutPrefix(strings.TrimSpace(line), "cluster.id="); found {
			return id, nil
		}
	}
	return "", fmt.Errorf("read cluster id: none in %s", logDir)
}
