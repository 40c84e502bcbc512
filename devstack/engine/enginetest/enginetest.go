// Package enginetest gives tests a real ClickHouse: one engine for all tests of a
// process, and a separate database for each test.
//
// It guarantees that the engine ends with the process, however that ends. It does
// not reset the engine between tests: a test keeps to its database.
//
// A package that uses it has a TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(enginetest.Main(m, os.Args)) }
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailstream/mailstream/devstack/engine"
)

const (
	// startMax bounds the first start on a machine, which fetches the library.
	startMax = 5 * time.Minute
	// statementMax bounds a statement on a machine that is busy with others too.
	statementMax = 5 * time.Minute
	// memoryMax is for eight tests at once, in bytes. Two that insert much took 1.9 GB, of
	// which the merges behind them had a half.
	memoryMax = 3 * engine.MemoryDefault
	// stopMax is for an engine with the tables of all tests, on such a machine.
	stopMax = 5 * time.Minute
)

// Main runs the tests of a package, or is the engine's child when args (os.Args)
// say so, and stops the shared engine afterwards. It returns the exit status.
func Main(m *testing.M, args []string) int {
	if engine.IsChild(args) {
		return engine.ChildMain()
	}
	shared.enabled.Store(true)
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop shared engine:", err)
		return max(code, 1)
	}
	return code
}

// Start returns the engine that the tests of this process share. The first call
// starts it; it runs until Main returns.
func Start(tb testing.TB) *engine.Engine {
	tb.Helper()
	if !shared.enabled.Load() {
		tb.Fatal("the package has no TestMain that calls enginetest.Main")
	}
	e, err := shared.start()
	if err != nil {
		tb.Fatalf("start shared engine: %v", err)
	}
	return e
}

// Database makes a database for tb on the shared engine and returns its name. It
// is dropped when tb ends.
func Database(tb testing.TB) string {
	tb.Helper()
	e := Start(tb)
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	Exec(tb, e, "CREATE DATABASE "+name+" ENGINE = Atomic")
	tb.Cleanup(func() { Exec(tb, e, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	return name
}

// Exec runs one statement and returns the answer without the last line feed. It
// fails the test when the statement fails.
func Exec(tb testing.TB, e *engine.Engine, statement string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), statementMax)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL()+"/?"+url.Values{"wait_end_of_query": {"1"}}.Encode(), strings.NewReader(statement))
	if err != nil {
		tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatalf("run %q: %v", statement, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatalf("run %q: %v", statement, err)
	}
	if response.StatusCode != http.StatusOK {
		tb.Fatalf("run %q: %s: %s", statement, response.Status, body)
	}
	return strings.TrimSuffix(string(body), "\n")
}

// databases numbers the databases of this process.
var databases atomic.Int64

// shared is the engine of this test process: tests of a package run in one
// process and an engine takes one, so there is nowhere else to keep it.
var shared sharedEngine

type sharedEngine struct {
	enabled atomic.Bool
	once    sync.Once
	engine  *engine.Engine
	err     error
	cancel  context.CancelFunc
	ended   chan error
}

func (s *sharedEngine) start() (*engine.Engine, error) {
	s.once.Do(func() { s.err = s.launch() })
	return s.engine, s.err
}

func (s *sharedEngine) launch() error {
	config := engine.Default()
	config.Listen = "127.0.0.1:0"
	config.MemoryMax, config.StopMax = memoryMax, stopMax
	config.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	e, err := engine.New(config, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	late := time.NewTimer(startMax)
	defer late.Stop()
	select {
	case <-e.Ready():
		s.engine, s.cancel, s.ended = e, cancel, ended
		return nil
	case err := <-ended:
		cancel()
		return errors.Join(errors.New("engine ended before it was ready"), err)
	case <-late.C:
		cancel()
		return errors.Join(fmt.Errorf("engine was not ready within %s", startMax), <-ended)
	}
}

func (s *sharedEngine) stop() error {
	if s.cancel == nil {
		return nil
	}
	s.cancel()
	return <-s.ended
}
