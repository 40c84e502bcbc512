// Package engine runs a real ClickHouse without a server: the engine itself, as a
// shared library in a child process, behind ClickHouse's HTTP interface.
//
// It guarantees that an INSERT answered 200 survives the end of every process
// involved (though not of the machine), that the child never outlives its parent,
// however that ends, and that two engines never share a data directory. It is
// meant for a laptop and for tests: it has one node, no Keeper and so no
// replicated tables, no user management, no query log, and it listens on the
// loopback interface. Production uses a ClickHouse server.
//
// # How it fits together
//
// The library (libchdb, from an npm package pinned by version and digest) is
// fetched once into the user's cache. It is loaded without cgo, and only ever into
// a child: it takes over signal handlers, it can hang at exit, and a fault in it
// ends the process. The child is this same program, started with a hidden
// argument, so every main and every TestMain that uses the package begins with
//
//	if engine.IsChild(os.Args) {
//		os.Exit(engine.ChildMain())
//	}
//
// The parent holds the listener and a lock on the data directory, so that it can
// say clearly what is taken; the child inherits both. Parent and child are tied by
// a pipe: when its other end closes, for whatever reason, the kernel itself kills
// the child. The child has a separate process group, so that Ctrl-C in a terminal
// reaches the parent alone, which then stops the child in order.
//
// Each HTTP request gets a new connection to the engine (half a millisecond), so no
// setting leaks into another; an HTTP session is a list of statements that are run
// on it first. Data of an INSERT reach the engine through FROM INFILE on a file that
// exists only in memory, which reads them exactly as a server would: by column name,
// with defaults, and binary. Native results are rewritten to the protocol revision
// the client asked for.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mailstream/mailstream/devstack/engine/internal/library"
)

// ErrUnsupported says that there is no engine for this platform. The error that
// wraps it names the platforms that have one.
var ErrUnsupported = library.ErrUnsupported

// ErrBusy says that another process uses the data directory.
var ErrBusy = errors.New("data directory is in use by another engine")

// ErrPortTaken says that another program listens on the port.
var ErrPortTaken = errors.New("port is taken by another program")

// Config says where the engine keeps its data and how it is reached. Default
// gives every field a value.
type Config struct {
	// DataDir holds the tables. Empty: a temporary directory, removed at the end.
	DataDir string
	// CacheDir keeps the shared library once fetched, 560 MB. Empty: the user's
	// cache directory, below chdb-engine.
	CacheDir string
	// Listen is the address of the HTTP interface; port 0 takes a free one.
	Listen string
	// Username and Password are the account that may do everything.
	Username, Password string
	// Reader and ReaderPassword are the account that may only read, and only
	// within limits of time and memory. Empty Reader: no such account.
	Reader, ReaderPassword string
	// MemoryMax bounds what all queries and merges take together, in bytes; beyond it a
	// query is refused with error 241. 0: MemoryDefault. One query has 1 GiB at most.
	MemoryMax int64
	// DiskFull has the engine treat its disk as full, for tests of what writes to it: all
	// that needs room is refused with error 243, as ClickHouse does before it writes, and
	// merges and mutations wait. What is stored can be read.
	DiskFull bool
	// StopMax bounds an orderly stop; the child is killed after it, and Run says so. What
	// was acknowledged is in files by then. 0: StopDefault.
	StopMax time.Duration
	// Restart starts another child, on the same port and data, when one has ended
	// unexpectedly, and logs it. Without it, Run returns.
	Restart bool
	// Progress gets a line now and then while the library is fetched. Nil: the
	// lines go to the log.
	Progress func(line string)
}

// MemoryDefault is Config.MemoryMax of a laptop that runs everything else too, in bytes.
const MemoryDefault = 2 << 30

// StopDefault is Config.StopMax of a person who waits. The engine may hang while it closes.
const StopDefault = 12 * time.Second

// Default returns the configuration of a laptop: a temporary data directory,
// ClickHouse's usual port, user "default" without a password, reader "reader".
func Default() Config {
	return Config{Listen: "127.0.0.1:8123", Username: "default", Reader: "reader"}
}

// Engine is one ClickHouse engine. Run starts it, and it can run once.
type Engine struct {
	config Config
	log    *slog.Logger
	ready  chan struct{}

	mu      sync.Mutex
	url     string // set when ready
	process int    // the present child, set when ready
}

// New returns an engine that Run will start. It fails on an address without a
// port, on equal account names, on memory or a stop below 0, and with ErrUnsupported on a
// platform without a library. A nil log discards what would be logged.
func New(config Config, log *slog.Logger) (*Engine, error) {
	if err := library.Supported(); err != nil {
		return nil, err
	}
	if _, _, err := net.SplitHostPort(config.Listen); err != nil {
		return nil, fmt.Errorf("engine listen address %q: %w", config.Listen, err)
	}
	if config.Username == "" {
		config.Username = "default"
	}
	if config.MemoryMax < 0 {
		return nil, fmt.Errorf("engine memory: %d bytes is below 0", config.MemoryMax)
	}
	if config.StopMax < 0 {
		return nil, fmt.Errorf("engine stop: %s is below 0", config.StopMax)
	}
	config.StopMax = cmp.Or(config.StopMax, StopDefault)
	config.MemoryMax = cmp.Or(config.MemoryMax, MemoryDefault)
	if config.Reader == config.Username {
		return nil, fmt.Errorf("engine accounts: user and reader are both %q", config.Reader)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if config.Progress == nil {
		config.Progress = func(line string) { log.Info("engine library prepared", slog.String("step", line)) }
	}
	return &Engine{config: config, log: log, ready: make(chan struct{})}, nil
}

// Ready is closed when the engine answers queries.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// URL returns the address of the HTTP interface, http://host:port, once Ready is
// closed; before that it is empty.
func (e *Engine) URL() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.url
}

// Process returns the process id of the latest child once Ready is closed, 0
// before.
func (e *Engine) Process() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.process
}

// Fetch brings the shared library into the cache if it is not there. Run does so
// too; a program calls it to have the wait where it can show it.
func (e *Engine) Fetch(ctx context.Context) error {
	_, err := e.fetch(ctx)
	return err
}

func (e *Engine) fetch(ctx context.Context) (string, error) {
	dir := e.config.CacheDir
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find cache directory for the engine library: %w", err)
		}
		dir = filepath.Join(base, "chdb-engine")
	}
	return library.Ensure(ctx, dir, e.config.Progress)
}

// Run fetches the library if needed, starts the engine and blocks until it has
// ended and is not restarted. It returns nil when ctx ended it, and otherwise why
// it could not start or ended unexpectedly; errors.Is finds ErrBusy and
// ErrPortTaken.
func (e *Engine) Run(ctx context.Context) error {
	path, err := e.fetch(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	dir, release, err := openDataDir(e.config.DataDir)
	if err != nil {
		return err
	}
	defer release()
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return stopped(ctx, err)
	}
	defer lock.Close()
	return e.supervise(ctx, e.spec(path, dir), lock)
}

// stopped returns nil instead of an error that ctx caused.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// spec returns the specification for the child.
func (e *Engine) spec(path, dir string) childSpec {
	s := childSpec{
		Library:   path,
		DataDir:   dir,
		MemoryMax: e.config.MemoryMax,
		StopMax:   e.config.StopMax,
		DiskFull:  e.config.DiskFull,
		Users:     map[string]userSpec{e.config.Username: {Password: e.config.Password}},
	}
	if e.config.Reader != "" {
		s.Users[e.config.Reader] = userSpec{Password: e.config.ReaderPassword, ReadOnly: true}
	}
	if host, _, err := net.SplitHostPort(e.config.Listen); err == nil {
		ip := net.ParseIP(host)
		s.LoopbackOnly = host == "localhost" || ip != nil && ip.IsLoopback()
	}
	return s
}
