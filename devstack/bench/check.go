package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/suppression/seed"
)

// CheckOptions shape one run of Check. The zero value of a field takes its
// default.
type CheckOptions struct {
	// Entries on the list. Default 2,000,000; the budget speaks of 20,000,000, which
	// takes some minutes and 4 GB of disk to prepare.
	Entries int
	// Bulk is the number of addresses of a bulk check. Default 1,000.
	Bulk int
	// ListedPercent of the addresses asked about are on the list. Default 5.
	ListedPercent int
	// Duration of one measurement, after a warm-up of a quarter of it. Default 5s.
	Duration time.Duration
	// Connections that send one request after the other. Default 2: more would
	// measure the queue for the processors.
	Connections int
	// Dir is where the list is kept meanwhile. Default a temporary folder.
	Dir string
	// Progress, when not nil, is called with each step as it ends.
	Progress func(line string)
}

// CheckReport is what a replica with CheckOptions.Entries addresses answered,
// beside a bare handler with the same addresses in a Go map.
type CheckReport struct {
	Entries int
	Seeded  time.Duration // to make the list
	Started time.Duration // from the start of the replica until it was ready

	Single, Bulk               Load // the service; Events are addresses
	ReferenceSingle, Reference Load // the map, one address and Bulk of them
	BulkListed                 Load // the service, every address on the list: the worst case

	Filter, ReferenceFilter float64 // addresses/s of a send over one connection, with the client of senders
}

func (o CheckOptions) withDefaults() CheckOptions {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	def(&o.Entries, 2_000_000)
	def(&o.Bulk, 1000)
	def(&o.ListedPercent, 5)
	def(&o.Connections, 2)
	if o.Duration == 0 {
		o.Duration = 5 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

const (
	// checkParts are the broker and the replica: each says how it ended.
	checkParts = 2

	checkPepper = "a-pepper-for-benchmarks"
	checkToken  = "a-token-for-benchmarks"
)

// checkConfig is the configuration of the replica under load: the defaults and a
// free port.
const checkConfig = `
kafka: {brokers: [%q]}
privacy: {pepper: ` + checkPepper + `}
log: {level: error}
state: {dir: %q}
suppression: {listen: 127.0.0.1:0, metrics_listen: 127.0.0.1:0, tokens: [` + checkToken + `]}
`

// Check measures suppression checks over HTTP: the service as it is deployed,
// with its broker, on a list that was written to its store beforehand.
func Check(ctx context.Context, opt CheckOptions) (report CheckReport, err error) {
	opt = opt.withDefaults()
	if opt.Dir == "" {
		if opt.Dir, err = os.MkdirTemp("", "mailstream-bench-"); err != nil {
			return report, fmt.Errorf("make folder for the list: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(opt.Dir)) }()
	}
	report.Entries = opt.Entries
	addr, stop, err := startChecked(ctx, opt, &report)
	if err != nil {
		return report, err
	}
	for _, m := range []struct {
		name   string
		load   *Load
		batch  int
		listed int
	}{
		{"service, one address", &report.Single, 1, opt.ListedPercent},
		{"service, bulk", &report.Bulk, opt.Bulk, opt.ListedPercent},
		{"service, bulk, all listed", &report.BulkListed, opt.Bulk, 100},
	} {
		if *m.load, err = opt.ask(m.name, addr, m.batch, m.listed); err != nil {
			return report, errors.Join(err, stop())
		}
	}
	report.Filter, err = opt.filter(ctx, "service, a send", addr)
	if err := errors.Join(err, stop()); err != nil {
		return report, err
	}
	return report, opt.reference(ctx, &report)
}

// reference measures the bare handler.
func (o CheckOptions) reference(ctx context.Context, report *CheckReport) error {
	known := make(map[string]struct{}, o.Entries)
	for i := range o.Entries {
		known[checkAddress(i)] = struct{}{}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the reference: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/suppressions/check", func(w http.ResponseWriter, r *http.Request) { answerFromMap(w, r, known) })
	mux.HandleFunc("/v1/suppressions/check/stream", func(w http.ResponseWriter, r *http.Request) { streamFromMap(w, r, known) })
	srv := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	addr := ln.Addr().String()
	report.ReferenceSingle, err = o.ask("map, one address", addr, 1, o.ListedPercent)
	if err == nil {
		report.Reference, err = o.ask("map, bulk", addr, o.Bulk, o.ListedPercent)
	}
	if err == nil {
		report.ReferenceFilter, err = o.filter(ctx, "map, a send", addr)
	}
	err = errors.Join(err, srv.Close())
	<-served
	return err
}

func answerFromMap(w http.ResponseWriter, r *http.Request, known map[string]struct{}) {
	var req struct {
		Addresses []string `json:"addresses"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := struct {
		Suppressed []map[string]string `json:"suppressed"`
		Checked    int                 `json:"checked"`
	}{Checked: len(req.Addresses)}
	for _, a := range req.Addresses {
		if _, ok := known[strings.ToLower(a)]; ok {
			out.Suppressed = append(out.Suppressed, map[string]string{"address": a})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // an error means that the client has gone
}

// startChecked makes the list and starts a broker and a replica on it.
func startChecked(ctx context.Context, opt CheckOptions, report *CheckReport) (addr string, stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	b := broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop())
	ended := make(chan error, checkParts)
	running := 1
	go func() { ended <- b.Run(ctx) }()
	stop = func() error {
		cancel()
		var errs []error
		for range running {
			errs = append(errs, <-ended)
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	select {
	case <-b.Ready():
	case err := <-ended:
		ended <- nil // for stop
		return "", stop, err
	}
	cfg, err := seeded(ctx, opt, b.Addr(), report)
	if err != nil {
		return "", stop, err
	}
	s, err := pipeline.New(cfg, pipeline.Suppression, zap.NewNop())
	if err != nil {
		return "", stop, err
	}
	began := time.Now()
	running++
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		ended <- nil // for stop
		return "", stop, err
	}
	report.Started = time.Since(began)
	opt.Progress(fmt.Sprintf("replica ready after %s", report.Started.Round(time.Millisecond)))
	if opt.Entries >= copiedFrom {
		if err := awaitCopy(ctx, s.MetricsAddr()); err != nil {
			return "", stop, err
		}
		opt.Progress(fmt.Sprintf("states copied for checks after %s", time.Since(began).Round(time.Millisecond)))
	}
	return s.Addr(), stop, nil
}

// copiedFrom is from how many addresses on a replica copies its states for checks.
const copiedFrom = 100_000

// awaitCopy waits until the replica with these metrics answers from its copy.
func awaitCopy(ctx context.Context, metricsAddr string) error {
	none := []byte("\nmailstream_suppression_copy_bytes 0\n")
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+metricsAddr+"/metrics", http.NoBody)
		if err != nil {
			return fmt.Errorf("read metrics: %w", err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("read metrics: %w", err)
		}
		text, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return fmt.Errorf("read metrics: %w", err)
		}
		if !bytes.Contains(text, none) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// seeded makes topics and list and returns the replica's configuration.
func seeded(ctx context.Context, opt CheckOptions, brokerAddr string, report *CheckReport) (pipeline.Config, error) {
	cfg, _, err := pipeline.Load(pipeline.Input{
		File: fmt.Appendf(nil, checkConfig, brokerAddr, opt.Dir), Name: "the benchmark's configuration",
		Services: []pipeline.Name{pipeline.Suppression},
	})
	if err != nil {
		return cfg, err
	}
	if err := pipeline.ApplyTopics(ctx, cfg, zap.NewNop()); err != nil {
		return cfg, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokerAddr))
	if err != nil {
		return cfg, fmt.Errorf("connect to the broker: %w", err)
	}
	defer cl.Close()
	topic := schemas.SuppressionsTopic(schemas.DefaultTopicPrefix)
	details, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err == nil {
		err = details.Error()
	}
	if err != nil {
		return cfg, fmt.Errorf("describe topic %q: %w", topic, err)
	}
	began := time.Now()
	err = seed.Fill(ctx, seed.Options{
		StateDir: filepath.Join(opt.Dir, string(pipeline.Suppression)), TopicID: details[topic].ID.String(),
		Pepper: checkPepper, Entries: opt.Entries, Address: checkAddress,
	})
	report.Seeded = time.Since(began)
	opt.Progress(fmt.Sprintf("list of %d addresses made in %s", opt.Entries, report.Seeded.Round(time.Second)))
	return cfg, err
}

// checkAddress returns the i-th address; those from CheckOptions.Entries on are
// not on the list.
func checkAddress(i int) string {
	return "user." + strconv.Itoa(i) + "@mail" + strconv.Itoa(i%997) + ".example"
}

// ask sends checks of batch addresses and returns what came out.
func (o CheckOptions) ask(name, addr string, batch, listedPercent int) (Load, error) {
	var load Load
	var cpu time.Duration // of one request, of both ends
	for _, duration := range []time.Duration{o.Duration / 4, o.Duration} {
		askers := make([]*asker, o.Connections)
		errs := make([]error, o.Connections)
		began, used := time.Now(), processorTime()
		var wg sync.WaitGroup
		for i := range askers {
			a := &asker{
				random: rand.New(rand.NewPCG(uint64(i), uint64(duration))), entries: o.Entries, batch: batch, listedPercent: listedPercent,
			}
			askers[i] = a
			wg.Go(func() { errs[i] = a.run(addr, began.Add(duration)) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return Load{}, fmt.Errorf("measure %s: %w", name, err)
		}
		var all []time.Duration
		for _, a := range askers {
			all = append(all, a.latencies...)
		}
		if len(all) == 0 {
			return Load{}, fmt.Errorf("measure %s: no request was answered", name)
		}
		slices.Sort(all)
		rate := float64(len(all)) / time.Since(began).Seconds()
		load = Load{Requests: rate, Events: rate * float64(batch), P50: all[len(all)/2], P99: all[len(all)*99/100]}
		cpu = (processorTime() - used) / time.Duration(len(all))
	}
	o.Progress(fmt.Sprintf("%-26s %8.0f requests/s %9.0f addresses/s  p50 %8s  p99 %8s  processor %8s", name,
		load.Requests, load.Events, load.P50.Round(10*time.Microsecond), load.P99.Round(10*time.Microsecond), cpu.Round(10*time.Microsecond)))
	return load, nil
}

// asker is one connection.
type asker struct {
	random        *rand.Rand
	entries       int
	batch         int
	listedPercent int
	latencies     []time.Duration
	body, request bytes.Buffer
}

// run asks until end; a request is built before its time is taken.
func (a *asker) run(addr string, end time.Time) (err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	in := bufio.NewReaderSize(conn, 64<<10)
	for len(a.latencies) < latenciesMax && (len(a.latencies) == 0 || time.Now().Before(end)) { // once even where the machine leaves no time
		a.build(addr)
		if err := conn.SetDeadline(time.Now().Add(stallMax)); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
		began := time.Now()
		if _, err := conn.Write(a.request.Bytes()); err != nil {
			return fmt.Errorf("send check: %w", err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		a.latencies = append(a.latencies, time.Since(began))
		if resp.StatusCode != http.StatusOK || (a.listedPercent == 100 && n < int64(a.batch)*20) {
			return fmt.Errorf("check: status %d with %d bytes", resp.StatusCode, n)
		}
	}
	return nil
}

func (a *asker) build(addr string) {
	a.body.Reset()
	a.body.WriteString(`{"stream":"marketing","addresses":[`)
	for i := range a.batch {
		if i > 0 {
			a.body.WriteByte(',')
		}
		n := a.random.IntN(a.entries)
		if a.random.IntN(100) >= a.listedPercent {
			n += a.entries
		}
		a.body.WriteString(`"` + checkAddress(n) + `"`)
	}
	a.body.WriteString(`]}`)
	a.request.Reset()
	fmt.Fprintf(&a.request, "POST /v1/suppressions/check HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		addr, checkToken, a.body.Len())
	a.request.Write(a.body.Bytes())
}
