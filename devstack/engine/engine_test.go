package engine_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// waitMax bounds every wait of a test for something that takes milliseconds.
const waitMax = 2 * time.Minute

func TestMain(m *testing.M) {
	if len(os.Args) >= 3 && os.Args[1] == parentArgument {
		os.Exit(parentMain(os.Args[2]))
	}
	os.Exit(enginetest.Main(m, os.Args))
}

// connect opens a driver connection on a database of the engine at url.
func connect(t testing.TB, address, database string, change func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(address + "/" + database)
	if err != nil {
		t.Fatal(err)
	}
	options.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	if change != nil {
		change(options)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// call is one raw HTTP request.
type call struct {
	method string // POST when empty
	params url.Values
	header http.Header
	body   string
	host   string
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends c to the engine at address, without a driver between.
func do(t testing.TB, address string, c call) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitMax)
	defer cancel()
	if c.method == "" {
		c.method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, c.method, address+"/?"+c.params.Encode(), strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range c.header {
		request.Header[name] = values
	}
	request.Host = c.host
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

// query runs one statement by do and fails the test unless it succeeds.
func query(t testing.TB, address, statement string) string {
	t.Helper()
	r := do(t, address, call{body: statement})
	if r.status != http.StatusOK {
		t.Fatalf("run %q: %d %s", statement, r.status, r.body)
	}
	return strings.TrimSuffix(r.body, "\n")
}

// eventually waits until condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(waitMax)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("%s did not happen within %s", what, waitMax)
		case <-poll.C:
		}
	}
}

// running is an engine of one test's own.
type running struct {
	*engine.Engine
	cancel context.CancelFunc
	ended  chan error
}

// run starts an engine on dir and waits until it is ready. It is stopped with the test.
func run(t testing.TB, change func(*engine.Config)) *running {
	t.Helper()
	r, err := launch(change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cancel(); <-r.ended })
	select {
	case <-r.Ready():
	case err := <-r.ended:
		r.ended <- err
		t.Fatalf("engine ended: %v", err)
	case <-time.After(waitMax):
		t.Fatal("engine is not ready")
	}
	return r
}

// stop ends the engine and returns what Run returned.
func (r *running) stop(t testing.TB) error {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		r.ended <- nil // for the cleanup
		return err
	case <-time.After(waitMax):
		t.Fatal("engine did not stop")
		return nil
	}
}

// launch starts an engine without waiting.
func launch(change func(*engine.Config)) (*running, error) {
	config := engine.Default()
	config.Listen = "127.0.0.1:0"
	config.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	if change != nil {
		change(&config)
	}
	e, err := engine.New(config, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Engine: e, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- e.Run(ctx) }()
	return r, nil
}
