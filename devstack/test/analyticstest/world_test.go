package analyticstest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", worlds); err != nil {
		panic(err)
	}
	code := enginetest.Main(m, os.Args)
	if err := program.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "remove program:", err)
	}
	os.Exit(code)
}

// world is a broker and a database of its own, and the services' configuration
// that reaches them.
type world struct {
	engine   *engine.Engine
	database string
	brokers  string
	cfg      pipeline.Config
	client   *kgo.Client
}

// newWorld starts a broker, makes the topics and migrates a fresh database.
// Lines of extra replace sections of the configuration.
func newWorld(t testing.TB, extra ...string) *world {
	t.Helper()
	w := &world{engine: enginetest.Start(t), database: migrated.Copy(t)}
	w.startBroker(t)
	w.prepare(t, extra...)
	return w
}

// migrated has the tables of this version. To make them takes 1.1 s of a processor, a copy 0.3.
var migrated = enginetest.Template{Fill: func(t testing.TB, database string) {
	w := &world{engine: enginetest.Start(t), database: database, brokers: "127.0.0.1:1"} // which it does not ask
	if err := pipeline.MigrateTables(t.Context(), w.config(t, w.engine.URL()), logger(t)); err != nil {
		t.Fatal(err)
	}
}}

// prepare makes the topics of w and its tables.
func (w *world) prepare(t testing.TB, extra ...string) {
	t.Helper()
	w.cfg = w.config(t, w.engine.URL(), extra...)
	if err := pipeline.ApplyTopics(t.Context(), w.cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	if err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
}

func logger(t testing.TB) *zap.Logger { return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)) }

func (w *world) startBroker(t testing.TB) {
	t.Helper()
	w.brokers = newBroker(t)
	var err error
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(w.brokers), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
}

// shortRest is refused in a file, because an insert may take longer. A test does not
// wait that long for an hour to be sealed.
const shortRest = ", seal_rest: 2s"

func (w *world) config(t testing.TB, url string, extra ...string) pipeline.Config {
	t.Helper()
	text := append([]string{
		fmt.Sprintf("kafka: {brokers: [%q], topics: {partitions: 4}}", w.brokers),
		fmt.Sprintf("clickhouse: {url: %q, database: %q}", url, w.database),
	}, extra...)
	if len(extra) == 0 {
		text = append(text, `analytics: {listen: "127.0.0.1:0", flush_interval: 50ms}`)
	}
	services := []pipeline.Name{pipeline.Analytics}
	if strings.Contains(strings.Join(extra, "\n"), "privacy:") {
		services = append(services, pipeline.ForgetPeople)
	}
	file := strings.Join(text, "\n")
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(strings.Replace(file, shortRest, "", 1)), Name: "test", Services: services})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(file, shortRest) {
		cfg.Analytics.SealRest = 2 * time.Second
	}
	if !strings.Contains(file, "judge_interval") {
		cfg.Analytics.JudgeInterval = time.Hour // a slow run sees the events as they were published
	}
	return cfg
}

// analytics runs the service until the test ends or stop is called.
func (w *world) analytics(t testing.TB) (svc pipeline.Service, stop func()) {
	t.Helper()
	svc, err := pipeline.New(w.cfg, pipeline.Analytics, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return svc, stopper(t, servicetest.Start(t, svc))
}

// stopper is for a test that ends what it runs before it ends itself.
func stopper(t testing.TB, r *servicetest.Running) (stop func()) {
	return func() {
		t.Helper()
		if err := r.Stop(); err != nil {
			t.Errorf("ended with %v", err)
		}
	}
}

// publish writes events, each to the topic of its type, and waits for the
// acknowledgement of all.
func (w *world) publish(t testing.TB, events ...schemas.Event) {
	t.Helper()
	recs := make([]*kgo.Record, len(events))
	for i := range events {
		recs[i] = record(&events[i])
	}
	w.produce(t, recs...)
}

func record(e *schemas.Event) *kgo.Record {
	return &kgo.Record{
		Topic: schemas.EventTopic(schemas.DefaultTopicPrefix, e.Type),
		Key:   []byte(schemas.PartitionKey(e)),
		Value: schemas.AppendJSON(nil, e),
	}
}

func (w *world) produce(t testing.TB, recs ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
	defer cancel()
	if err := w.client.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// sql asks and returns the answer as TabSeparated without the last line feed.
func (w *world) sql(t testing.TB, query string) string {
	t.Helper()
	got, err := w.ask(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return got
}

func (w *world) ask(query string) (string, error) { return w.askAs("default", query, "") }

// statementMax bounds one statement: some make most of a million rows.
const statementMax = 10 * time.Minute

// askAs asks as a user, with the setting readonly unless it is empty.
func (w *world) askAs(user, query, readonly string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), statementMax)
	defer cancel()
	values := url.Values{"database": {w.database}, "wait_end_of_query": {"1"}}
	if readonly != "" {
		values.Set("readonly", readonly)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.engine.URL()+"/?"+values.Encode(), strings.NewReader(query))
	if err != nil {
		return "", err
	}
	req.SetBasicAuth(user, "")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return strings.TrimSuffix(string(body), "\n"), err
}

// wantSQL waits until query gives want.
func (w *world) wantSQL(t testing.TB, query, want string) {
	t.Helper()
	var got string
	servicetest.EventuallyOr(t, func() bool { got = w.sql(t, query); return got == want }, func() string {
		return fmt.Sprintf("%s\n got %q\nwant %q", query, got, want)
	})
}

// stored waits until analytics has stored all that is in Kafka, and whatever is filled from it
// has it too: a view that asks for events knows a row some moments before others do. Offsets
// are committed once the insert has ended.
func (w *world) stored(t testing.TB) {
	t.Helper()
	prefix := schemas.DefaultTopicPrefix
	topics := append(schemas.EventTopics(prefix), schemas.SuppressionsTopic(prefix), schemas.AlertsTopic(prefix), schemas.DeadLetterTopic(prefix), schemas.AuditTopic(prefix))
	ends, err := kadm.NewClient(w.client).ListEndOffsets(t.Context(), topics...)
	if err = errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	published := int64(0)
	ends.Each(func(o kadm.ListedOffset) { published += o.Offset })
	var got int64
	servicetest.EventuallyOr(t, func() bool { got = w.committed(t); return got >= published }, func() string {
		return fmt.Sprintf("%d of %d records are stored", got, published)
	})
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// insertNative posts body as the data of an insert and returns the status.
func (w *world) insertNative(t testing.TB, statement string, body []byte) int {
	t.Helper()
	to := w.engine.URL() + "/?" + url.Values{"database": {w.database}, "query": {statement}}.Encode()
	res, err := http.Post(to, "application/octet-stream", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// jsonFields returns the names of T's fields in JSON, in order.
func jsonFields[T any]() []string {
	var names []string
	typ := reflect.TypeFor[T]()
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
