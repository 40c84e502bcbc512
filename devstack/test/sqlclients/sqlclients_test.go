//go:build sql

package sqlclients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// update writes what the clients send first to fixtures.
var update = flag.Bool("update", false, "write the fixtures of devstack/engine")

const (
	fixtures = "../../engine/testdata/clients"
	// fixtureRequests is how many requests of a client are kept.
	fixtureRequests = 5
	// fetchMax bounds the first run on a machine, which fetches the clients.
	fetchMax = 5 * time.Minute
	// runMax bounds a client's run; a JVM on a busy machine takes some seconds.
	runMax = 2 * time.Minute
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m, os.Args)) }

func TestPython_ClickHouseConnect(t *testing.T) {
	packages := fetched(t, "python", "testdata/requirements.txt", func(dir string) []string {
		return []string{"python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target", dir, "--requirement", "testdata/requirements.txt"}
	})
	r := startRecorder(t)
	out := runClient(t, []string{"PYTHONPATH=" + packages}, "python3", "testdata/client.py", r.port)
	if out != "ok" {
		t.Error(out)
	}
	r.keep(t, "clickhouse-connect")
}

func TestJava_JDBCAndClient(t *testing.T) {
	jars := fetched(t, "java", "testdata/pom.xml", func(dir string) []string {
		return []string{"mvn", "--batch-mode", "--quiet", "--file", "testdata/pom.xml", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=" + dir}
	})
	for name, first := range map[string]string{"jdbc-v2": "false", "jdbc-v1": "true"} {
		t.Run(name, func(t *testing.T) {
			r := startRecorder(t)
			out := runClient(t, nil, "java", "-Xmx512m", "-Dclickhouse.jdbc.v1="+first, "-cp", filepath.Join(jars, "*"), "testdata/Queries.java", r.port)
			if out != "ok" {
				t.Error(out)
			}
			r.keep(t, name)
		})
	}
}

// fetched returns the folder that holds what the list file names, in the user's
// cache; another list is another folder.
func fetched(t *testing.T, name, list string, command func(dir string) []string) string {
	t.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	dir := filepath.Join(cache, "mailstream", "sqlclients", name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	ctx, cancel := context.WithTimeout(t.Context(), fetchMax)
	defer cancel()
	args := command(fresh)
	if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("fetch with %s: %v\n%s", args[0], err, out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runClient runs a program to its end and returns the last line it wrote.
func runClient(t *testing.T, environ []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// recorder passes connections on to the engine and keeps what clients send.
type recorder struct {
	port   string
	mu     sync.Mutex
	sent   []*bytes.Buffer // a connection each, in the order they came
	passes sync.WaitGroup
}

func startRecorder(t *testing.T) *recorder {
	t.Helper()
	to := strings.TrimPrefix(enginetest.Start(t).URL(), "http://")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String()) // a listener's address splits
	r := &recorder{port: port}
	ended := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-ended; r.passes.Wait() })
	go func() {
		defer close(ended)
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			sent := &bytes.Buffer{}
			r.mu.Lock()
			r.sent = append(r.sent, sent)
			r.mu.Unlock()
			r.passes.Go(func() { pass(t, client, to, sent) })
		}
	}()
	return r
}

func pass(t *testing.T, client net.Conn, to string, sent *bytes.Buffer) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // ends with either side
		client.Close()
	})
	_, _ = io.Copy(io.MultiWriter(server, sent), client) // as above
	server.Close()
	back.Wait()
}

// split cuts what was sent on one connection into requests.
func split(sent []byte) [][]byte {
	var requests [][]byte
	rest := bytes.NewReader(sent)
	from := bufio.NewReader(rest)
	for begin := 0; ; {
		request, err := http.ReadRequest(from)
		if err != nil {
			return requests
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return requests
		}
		end := len(sent) - rest.Len() - from.Buffered()
		requests = append(requests, sent[begin:end])
		begin = end
	}
}

// keep writes the first requests of a client that has ended as fixtures.
func (r *recorder) keep(t *testing.T, name string) {
	r.passes.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var requests [][]byte
	for _, sent := range r.sent {
		requests = append(requests, split(sent.Bytes())...)
	}
	if len(requests) < fixtureRequests {
		t.Fatalf("%s sent %d requests", name, len(requests))
	}
	if !*update {
		return
	}
	keep := map[string][]byte{}
	for n, request := range requests {
		head, _, _ := bytes.Cut(bytes.ToLower(request), []byte("\r\n\r\n"))
		_, accepts, _ := bytes.Cut(head, []byte("\r\naccept-encoding: "))
		switch {
		case n < fixtureRequests:
			keep[fmt.Sprint(n+1)] = request
		case len(accepts) > 0 && !bytes.HasPrefix(accepts, []byte("identity")) && bytes.Contains(request, []byte("SELECT")) && keep["encoded"] == nil:
			keep["encoded"] = request // the first that takes an encoded answer
		}
	}
	for which, request := range keep {
		if err := os.WriteFile(filepath.Join(fixtures, name+"-"+which+".http"), request, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
