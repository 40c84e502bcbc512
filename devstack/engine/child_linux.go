package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	_ "embed" // the engine's configuration

	"golang.org/x/sys/unix"

	"github.com/mailstream/mailstream/devstack/engine/internal/chdb"
	"github.com/mailstream/mailstream/devstack/engine/internal/clickhttp"
)

// Limits of the child, sized for a laptop that runs everything else too.
const (
	queryMemoryMax = 1 << 30
	queryTimeMax   = 5 * time.Minute
	readerTimeMax  = 30 * time.Second
	// markCacheMax bounds each cache of tables' indexes; a server's default is 5 GiB.
	markCacheMax = 128 << 20
	// mergeThreads run twice as many merges at once, which took up to 215 MB each. The engine
	// would start as many threads as there are processors, up to 16, and merges alone would
	// take more than a laptop's engine has; its bound for merges is not heeded by the library.
	mergeThreads = 2
	// headerTimeMax and headerBytesMax bound the head of a request; queries come in
	// the URL too.
	headerTimeMax  = 10 * time.Second
	headerBytesMax = 2 << 20
	idleTimeMax    = 2 * time.Minute
	// drainMax is how long running queries may take to finish at a stop.
	drainMax = 2 * time.Second
)

//go:embed engine.xml
var configTemplate string

// ChildMain is the main of an engine's child. It returns the exit status when the
// parent has asked it to stop, or it could not start; it does not return when the
// parent is gone.
func ChildMain() int {
	for fd := fdSpec; fd <= fdLock; fd++ {
		unix.CloseOnExec(fd)
	}
	if err := armLifeline(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := os.NewFile(fdStatus, "status")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	serve, err := openChild()
	if err != nil {
		// The parent reads it, or is gone and so are we.
		_ = json.NewEncoder(status).Encode(childStatus{Error: err.Error()})
		return 1
	}
	// As above.
	_ = json.NewEncoder(status).Encode(childStatus{})
	status.Close()
	if err := serve(stop); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// armLifeline makes the kernel kill this process when the parent's end of the
// pipe closes. It needs no thread of ours, so no hang can delay it.
func armLifeline() error {
	life := os.NewFile(fdLifeline, "lifeline")
	if _, err := unix.FcntlInt(fdLifeline, unix.F_SETOWN, os.Getpid()); err != nil {
		return fmt.Errorf("own lifeline: %w", err)
	}
	if _, err := unix.FcntlInt(fdLifeline, unix.F_SETSIG, int(unix.SIGKILL)); err != nil {
		return fmt.Errorf("set signal of lifeline: %w", err)
	}
	flags, err := unix.FcntlInt(fdLifeline, unix.F_GETFL, 0)
	if err != nil {
		return fmt.Errorf("read flags of lifeline: %w", err)
	}
	if _, err := unix.FcntlInt(fdLifeline, unix.F_SETFL, flags|unix.O_ASYNC); err != nil {
		return fmt.Errorf("arm lifeline: %w", err)
	}
	// The parent may have gone before the pipe was armed, and the fallback costs
	// nothing: a read ends when the pipe closes.
	go func() {
		_, _ = life.Read(make([]byte, 1)) // it only ever ends by closing
		killSelf()
	}()
	return nil
}

// killSelf ends the process at once: without the engine's exit handlers, which
// can hang.
func killSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // nothing is left to do if it fails
}

// openChild starts the engine as the parent asks and returns what serves it until
// a stop.
func openChild() (func(stop <-chan os.Signal) error, error) {
	var spec childSpec
	task := os.NewFile(fdSpec, "spec")
	if err := json.NewDecoder(task).Decode(&spec); err != nil {
		return nil, fmt.Errorf("read task: %w", err)
	}
	task.Close()
	inherited := os.NewFile(fdListener, "listener")
	listener, err := net.FileListener(inherited)
	if err != nil {
		return nil, fmt.Errorf("take over listener: %w", err)
	}
	inherited.Close()
	configPath, err := writeConfig(spec)
	if err != nil {
		return nil, err
	}
	lib, err := chdb.Load(spec.Library)
	if err != nil {
		return nil, err
	}
	open := func() (*chdb.Conn, error) {
		return lib.Open("--path="+spec.DataDir, "--config-file="+configPath)
	}
	// This connection keeps the engine alive between requests.
	anchor, err := open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", spec.DataDir, err)
	}
	handler, err := clickhttp.New(clickhttp.Config{
		Open: open, Users: users(spec), LoopbackOnly: spec.LoopbackOnly,
		QueryMemoryMax: queryMemoryMax, QueryTimeMax: queryTimeMax, ReaderTimeMax: readerTimeMax,
	})
	if err != nil {
		return nil, err
	}
	return serving{listener, handler, anchor, spec.StopMax}.serve, nil
}

func users(spec childSpec) map[string]clickhttp.User {
	out := map[string]clickhttp.User{}
	for name, u := range spec.Users {
		out[name] = clickhttp.User{Password: u.Password, ReadOnly: u.ReadOnly}
	}
	return out
}

// serving is an engine that answers.
type serving struct {
	listener net.Listener
	handler  http.Handler
	anchor   *chdb.Conn
	stopMax  time.Duration // how long an orderly stop may take
}

// serve answers requests until stop, then closes the engine within stopMax.
func (s serving) serve(stop <-chan os.Signal) error {
	base, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeMax,
		IdleTimeout:       idleTimeMax,
		MaxHeaderBytes:    headerBytesMax,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-stop:
	}
	time.AfterFunc(s.stopMax, killSelf)
	drain, done := context.WithTimeout(context.Background(), drainMax)
	defer done()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		// The running queries are cancelled, as if their clients had disconnected.
		cancel()
		last, done := context.WithTimeout(context.Background(), drainMax)
		defer done()
		if err = server.Shutdown(last); errors.Is(err, context.DeadlineExceeded) {
			// Left are clients that opened a connection and have not asked yet, which
			// net/http takes for busy for 5 s, or that stopped in the middle of a body.
			err = server.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("finish queries: %w", err)
	}
	s.anchor.Close()
	return nil
}

// writeConfig writes the engine's configuration file into the data directory.
func writeConfig(spec childSpec) (string, error) {
	dir := spec.DataDir
	parsed, err := template.New(configName).Funcs(template.FuncMap{"xml": escapeXML}).Parse(configTemplate)
	if err != nil {
		return "", fmt.Errorf("read engine configuration: %w", err)
	}
	var out bytes.Buffer
	path := filepath.Join(dir, configName)
	err = parsed.Execute(&out, map[string]any{
		"Path":            path,
		"UserFiles":       filepath.Join(dir, "user_files"),
		"ServerMemoryMax": spec.MemoryMax,
		"MarkCacheMax":    markCacheMax,
		"MergeThreads":    mergeThreads,
		"DiskFull":        spec.DiskFull,
	})
	if err != nil {
		return "", fmt.Errorf("write engine configuration: %w", err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("write engine configuration: %w", err)
	}
	return path, nil
}

func escapeXML(text string) (string, error) {
	var b bytes.Buffer
	err := xml.EscapeText(&b, []byte(text))
	return b.String(), err
}
