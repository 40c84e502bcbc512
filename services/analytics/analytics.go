// Package analytics stores every record of the stream in ClickHouse, where
// people ask it questions in SQL: events, messages and their rates,
// suppressions, alerts and dead letters.
//
// It guarantees that a record is committed only after ClickHouse has its row, or
// Kafka its dead letter, and that a record stored again, by a redelivery, a
// resend of the provider or a second analytics, changes no answer. It keeps no
// state and may be killed at any time. While ClickHouse is away it holds what it
// has and reads no further. It answers no queries; over HTTP it serves dead letters
// (package deadletters) and how far it is behind, to who has a token.
package analytics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/analytics/internal/eraser"
	"github.com/mailstream/mailstream/services/analytics/internal/store"
	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/erasure"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/reparse"
)

// Service reads all topics and fills all tables. Make it with New.
type Service struct {
	cfg      Config
	shared   platform.Shared
	client   *clickhouse.Client
	consumer *group.Consumer
	producer *produce.Producer
	watch    *admin.Watch
	erasures *erasure.Ledger
	offsets  *offsets.Lister // of what it reads
	sources  []reparse.Source
	desk     *deadletters.Desk // nil without tokens
	server   *httpserver.Server
	path     *path
	met      *metrics
	often    *zap.Logger // throttled: for what may be repeated
	life     *lifecycle.Life
}

// New builds the service without connecting anywhere. Dead letters of the given sources
// can become events.
func New(cfg Config, sources []reparse.Source, shared platform.Shared) (*Service, error) {
	var faults config.Problems
	p := faults.At("analytics")
	cfg.Validate(p)
	p.Check(len(cfg.Tokens) == 0 || shared.Hasher != nil, "tokens", "needs privacy.pepper: redriven dead letters become events of people")
	if err := faults.Err(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, sources: sources, shared: shared, often: telemetry.Throttled(shared.Log), life: lifecycle.New(shared.Log)}
	if err := s.life.Build(s.build); err != nil {
		return nil, err
	}
	return s, nil
}

// build makes the parts of the service.
func (s *Service) build() error {
	kc, log, reg := s.shared.Kafka, s.shared.Log, s.shared.Registry
	var err error
	if s.met, err = newMetrics(reg); err != nil {
		return err
	}
	if s.consumer, err = group.New(kc, s.cfg.consumer(kc), log, reg); err != nil {
		return err
	}
	if s.client, err = clickhouse.Open(s.shared.ClickHouse, log, reg); err != nil {
		return err
	}
	s.life.Closes("clickhouse", func(context.Context) error { return s.client.Close() })
	if s.producer, err = produce.New(kc, produce.Config{Name: "analytics"}, log, reg); err != nil {
		return err
	}
	s.life.Closes("producer", s.producer.Close)
	if s.erasures, err = erasure.New(kc, erasure.Options{}, log, reg); err != nil {
		return err
	}
	s.offsets = offsets.NewLister(kc, log, reg)
	s.life.ClosesPlain("offset lister", s.offsets.Close)
	api, err := s.letters()
	if err != nil {
		return err
	}
	if s.server, err = httpserver.New(s.cfg.Config, httpserver.Options{Name: "analytics", Handler: api, Ready: s.notReady}, log, reg); err != nil {
		return err
	}
	if s.watch, err = admin.NewWatch(kc, admin.WatchConfig{Name: "analytics", Topics: s.topics(), AnyPartitions: true}, log, reg); err != nil {
		return err
	}
	s.life.ClosesPlain("topic watch", s.watch.Close)
	s.path = newPath(pathOptions{
		prefix:   kc.TopicPrefix,
		decoders: s.cfg.Decoders,
		inserter: s.client,
		asker:    s.client,
		parker:   s.producer,
		erased:   s.erasures,
		keep:     s.cfg.Keep,
		metrics:  s.met,
		log:      s.often,
	})
	return nil
}

// letters makes the desk of dead letters, where a token lets anybody use it, and returns
// its API.
func (s *Service) letters() (http.Handler, error) {
	if len(s.cfg.Tokens) == 0 {
		return http.HandlerFunc(deadletters.Closed), nil
	}
	kc, log := s.shared.Kafka, s.shared.Log
	maker, err := reparse.New(s.shared.Hasher, s.sources)
	if err != nil {
		return nil, err
	}
	book, err := deadletters.NewBook(kc, s.producer, log, s.shared.Registry)
	if err != nil {
		return nil, err
	}
	s.desk = deadletters.NewDesk(deadletters.Parts{
		Book: book, Letters: deadletters.New(s.client), Maker: maker, Kafka: s.producer,
		Erased: func(context.Context) (deadletters.Erased, func(), error) { return s.erasures, func() {}, nil },
		Trail:  audit.New(kc.TopicPrefix, s.producer, log), Prefix: kc.TopicPrefix, Log: log,
	})
	mux := http.NewServeMux()
	mux.Handle("/v1/lag", httpserver.Bearer(s.cfg.Tokens, http.HandlerFunc(s.lag)))
	mux.Handle("/", deadletters.NewAPI(s.desk, s.cfg.Tokens, log))
	return mux, nil
}

// lag answers how many records of Kafka are not in ClickHouse yet, of all replicas.
func (s *Service) lag(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		httpserver.Problem(w, http.StatusMethodNotAllowed, "method not allowed", "allowed: GET")
		return
	}
	if _, ok := httpserver.Query(w, r); !ok {
		return
	}
	kc := s.shared.Kafka
	records, err := s.offsets.Behind(r.Context(), kc.Group("analytics"), store.Topics(kc.TopicPrefix)...)
	if err != nil {
		s.often.Warn("lag was not read", telemetry.Err(err))
		w.Header().Set("Retry-After", "5")
		httpserver.Problem(w, http.StatusServiceUnavailable, "unavailable", "Kafka does not answer: try again")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	httpserver.JSON(w, http.StatusOK, struct {
		Records int64 `json:"records"`
	}{records})
}

// topics are those that the service cannot do without.
func (s *Service) topics() []string {
	prefix := s.shared.Kafka.TopicPrefix
	list := append(store.Topics(prefix), schemas.ErasuresTopic(prefix))
	if s.desk != nil {
		list = append(list, schemas.OperationsTopic(prefix))
	}
	return list
}

// operations does what people ask for of dead letters.
func (s *Service) operations(ctx context.Context) error {
	if s.desk == nil {
		<-ctx.Done()
		return nil
	}
	return s.desk.Run(ctx)
}

// fetchBytesMax bounds what is read ahead, compressed: about the largest batch
// there is, and below the library's own bound on one answer.
const fetchBytesMax = 64 << 20

// fetchPartitionBytesMax bounds what is read ahead of one partition, compressed.
const fetchPartitionBytesMax = 4 << 20

// consumer returns how the topics are read.
func (c Config) consumer(k kafka.Config) group.Config {
	fetch := int32(min(c.BatchBytesMax, fetchBytesMax)) // the next batch is read while this one is stored
	return group.Config{
		Group:           k.Group("analytics"),
		Topics:          store.Topics(k.TopicPrefix),
		BatchRecordsMax: c.BatchRowsMax,
		BatchBytesMax:   int(c.BatchBytesMax),
		BatchWait:       c.FlushInterval,
		FetchBytesMax:   fetch,
		// The library's default is more than a small batch; one record larger than
		// this is read all the same.
		FetchPartitionBytesMax: min(fetch, fetchPartitionBytesMax),
	}
}

// Ready is closed once topics and tables are there and records are read.
func (s *Service) Ready() <-chan struct{} { return s.life.Ready() }

// Addr returns host:port of the listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where
// metrics are off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

func (s *Service) notReady() error {
	if err := s.watch.Fault(); err != nil {
		return err
	}
	if !s.life.IsReady() {
		return errors.New("waiting for the tables of ClickHouse")
	}
	if err := s.erasures.Fault(); err != nil {
		return err
	}
	return s.met.stall.fault()
}

// Run works until ctx is done. A task that fails before ends it with an error.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.tasks()) }

// tasks is how the service starts; it stops in reverse, and the producer is closed
// when the last batch is stored or given back.
func (s *Service) tasks() []lifecycle.Task {
	return []lifecycle.Task{
		{Name: "http", Run: s.server.Run, Ready: s.server.Ready()},
		{Name: "topics", Start: s.watch.Await, Run: s.watch.Run},
		{Name: "tables", Start: s.awaitTables},
		{Name: "erasures", Run: s.erasures.Run, Ready: s.erasures.CaughtUp()},
		{Name: "consumer", Run: func(ctx context.Context) error { return s.consumer.Run(ctx, s.path.handle) }},
		{Name: "judge", Run: s.judge},
		{Name: "gather", Run: s.gather},
		{Name: "seal", Run: s.seal},
		{Name: "erase", Run: s.erase},
		{Name: "operations", Run: s.operations},
	}
}

// startBackoff spaces the looks for the tables, without which nothing is read.
var startBackoff = lifecycle.Backoff{Min: 250 * time.Millisecond, Max: 10 * time.Second}

// awaitTables waits for the tables of this version.
func (s *Service) awaitTables(ctx context.Context) error {
	err := startBackoff.Retry(ctx, func(ctx context.Context) error { return store.CheckSchema(ctx, s.client) },
		func(attempt int, delay time.Duration, err error) {
			s.often.Warn("clickhouse was not ready", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		})
	if err != nil {
		return fmt.Errorf("wait for clickhouse tables: %w", err)
	}
	return nil
}

// seal writes the final counts of past hours. Its faults are logged and pass:
// without it the same answers only take longer.
func (s *Service) seal(ctx context.Context) error {
	for {
		if err := lifecycle.Sleep(ctx, s.cfg.SealInterval); err != nil {
			return err
		}
		n, err := store.Seal(ctx, s.client, s.cfg.SealRest)
		s.met.seals.Add(float64(n))
		if err != nil && ctx.Err() == nil {
			s.often.Warn("sealing put off", telemetry.Err(err))
		}
	}
}

// judge finds machines among those who opened and clicked, after the fact.
func (s *Service) judge(ctx context.Context) error {
	how := store.Judging{Rest: s.cfg.SealRest, Lasts: s.shared.ClickHouse.QueryTimeout}
	return s.look(ctx, "opens and clicks are judged later", func(ctx context.Context) (time.Duration, error) {
		return store.Judge(ctx, s.client, how)
	})
}

// gather brings messages with events on several days together for messages_by_day.
func (s *Service) gather(ctx context.Context) error {
	wait := s.shared.ClickHouse
	how := store.Gathering{Insert: max(wait.InsertTimeout, wait.QueryTimeout), Lasts: wait.QueryTimeout}
	return s.look(ctx, "messages of several days are gathered later", func(ctx context.Context) (time.Duration, error) {
		return store.Gather(ctx, s.client, how)
	})
}

// look does work on what is stored again and again. Its faults are logged as put off and
// pass: the next look does what is left.
func (s *Service) look(ctx context.Context, putOff string, work func(context.Context) (took time.Duration, err error)) error {
	pause := s.cfg.JudgeInterval
	for {
		if err := lifecycle.Sleep(ctx, pause); err != nil {
			return err
		}
		took, err := work(ctx)
		if err != nil && ctx.Err() == nil {
			s.often.Warn(putOff, telemetry.Err(err))
		}
		pause = min(max(s.cfg.JudgeInterval, judgePause*took), judgePausesMax*s.cfg.JudgeInterval)
	}
}

const (
	// judgePause is how many times longer than a look the pause after it is: the hour that
	// fills is judged whole each time, a look for messages reads a column of all, and
	// ClickHouse has other work.
	judgePause = 9
	// judgePausesMax is how many intervals a pause is at most.
	judgePausesMax = 10
)

// rawEvery spaces the looks for raw past its time, each of which reads when every
// event was received.
const rawEvery = 24 * time.Hour

// erase takes people who have to be forgotten out of the tables, and raw past
// its time. Its faults are logged and pass: the next look does what is left.
func (s *Service) erase(ctx context.Context) error {
	var looked time.Time // for raw
	work := eraser.New(eraser.Options{Client: s.client, Config: s.shared.ClickHouse, Settle: erasure.StaleAfter + max(s.shared.ClickHouse.InsertTimeout, s.shared.ClickHouse.QueryTimeout)})
	for {
		open, err := work.Pass(ctx, s.erasures.All())
		s.met.erasing.Set(float64(open))
		if err != nil && ctx.Err() == nil {
			s.often.Warn("people are not forgotten yet", telemetry.Err(err))
		}
		if now := time.Now(); now.Sub(looked) >= rawEvery {
			_, err := store.ExpireRaw(ctx, s.client, s.shared.ClickHouse, now.Add(-s.cfg.Retention.Raw))
			if looked = now; err != nil && ctx.Err() == nil {
				s.often.Warn("raw past its time is kept for another day", telemetry.Err(err))
			}
		}
		if err := lifecycle.Sleep(ctx, s.cfg.EraseInterval); err != nil {
			return err
		}
	}
}

// Migrate brings the ClickHouse database to the schema of this program and writes
// what it keeps of cfg: retention, and weights of engagement. It may be repeated, and run twice at once.
func Migrate(ctx context.Context, cfg Config, ch clickhouse.Config, log *zap.Logger) error {
	return store.Migrate(ctx, ch, store.Lasting{Retention: cfg.Retention, Engagement: cfg.Engagement}, log)
}
