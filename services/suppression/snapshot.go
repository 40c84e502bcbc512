package suppression

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// Snapshot says where an empty replica gets the list from before it reads the topic.
type Snapshot struct {
	// URL is the base URL of another replica, such as http://suppression-0:8082, or a file
	// that `mailstream suppressions snapshot` wrote, such as file:///var/lib/list.snapshot.
	// What cannot be used is logged, and the whole topic is read instead. Default
	// none: the topic.
	URL string `yaml:"url"`
	// Token is a bearer token of that replica. Default none.
	Token config.Secret `yaml:"token"`
	// Dial, when not nil, makes the connections instead of TCP: tests run replicas on a
	// network inside the process.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `yaml:"-"`
}

// client asks the other replica.
func (s Snapshot) client() *http.Client {
	if s.Dial == nil {
		return http.DefaultClient
	}
	return &http.Client{Transport: &http.Transport{DialContext: s.Dial, DisableKeepAlives: true}}
}

func (s Snapshot) validate(p *config.Problems) {
	if s.URL == "" {
		p.Check(!s.Token.IsSet(), "token", "is set without a url")
		return
	}
	u, err := url.Parse(s.URL)
	p.Check(err == nil && u.RawQuery == "" && u.User == nil && (u.Scheme == "file" && u.Host == "" && u.Path != "" || (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""),
		"url", "is not like http://suppression-0:8082 or file:///var/lib/list.snapshot")
}

const (
	// snapshotAgain is how often the rest of a snapshot is asked for after it was cut off
	// without a state.
	snapshotAgain = 5

	// snapshotSilenceMax is how long the other replica may send nothing.
	snapshotSilenceMax = time.Minute

	// snapshotClockMax is how far the clock of the other replica may be ahead.
	snapshotClockMax = 5 * time.Minute
)

var snapshotBackoff = lifecycle.Backoff{Min: time.Second, Max: 10 * time.Second}

// errSnapshotUnfit says that a snapshot is not one of this list as it is now.
var errSnapshotUnfit = errors.New("the snapshot cannot be used")

// fillFromSnapshot gives the empty store what a snapshot has. bounds are those of the topic.
func (s *Service) fillFromSnapshot(ctx context.Context, bounds bounds) (rows int64, err error) {
	f, end, err := s.beginFill(bounds.records())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	var first *store.SnapshotHead
	accept := func(head store.SnapshotHead) error {
		if fault := s.unfit(head, bounds, time.Now()); fault != "" {
			return fmt.Errorf("%w: %s", errSnapshotUnfit, fault)
		}
		if first == nil { // what a later part has beyond it is read once more
			first = &head
		}
		return nil
	}
	for attempt := 1; ; attempt++ {
		had := f.Len()
		err := s.readSnapshot(ctx, f, accept)
		if err == nil {
			return f.Len(), lifecycle.UnlessDone(ctx, f.Finish(ctx, first.Applied))
		}
		if f.Len() > had {
			attempt = 1
		}
		if !errors.Is(err, store.ErrSnapshotCut) || attempt == snapshotAgain {
			return 0, err
		}
		delay := snapshotBackoff.Next(attempt)
		s.shared.Log.Warn("snapshot was cut off, asking for the rest", telemetry.Rows(int(f.Len())), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		if err := lifecycle.Sleep(ctx, delay); err != nil {
			return 0, err
		}
	}
}

// unfit says why a snapshot is not one of the list, "" where it is. A record that was
// taken out of the topic, with all that says so, since it was made must not come back.
func (s *Service) unfit(head store.SnapshotHead, b bounds, now time.Time) string {
	age, most := now.Sub(head.MadeAt), s.shared.Kafka.Topics.TombstoneRetention/2
	switch {
	case head.TopicID != s.watch.ID(s.topic):
		return "it is of another topic, or from before the topic was made anew"
	case age > most:
		return fmt.Sprintf("it is %s old, at most %s are allowed (half of kafka.topics.tombstone_retention): what was purged since may not be in the topic any more", age.Round(time.Second), most)
	case age < -snapshotClockMax:
		return "it was made in the future: compare the clocks"
	}
	for partition, start := range b.starts {
		next := head.Applied[partition]
		switch {
		case next < start:
			return fmt.Sprintf("partition %d begins at offset %d, after it ends at %d", partition, start, next)
		case next > b.ends[partition]:
			return fmt.Sprintf("partition %d ends at offset %d, and it has %d", partition, b.ends[partition], next)
		}
	}
	return ""
}

// readSnapshot reads what is missing, once.
func (s *Service) readSnapshot(ctx context.Context, f *store.Fill, accept func(store.SnapshotHead) error) error {
	from, err := url.Parse(s.cfg.Snapshot.URL)
	if err != nil {
		return err
	}
	if from.Scheme == "file" {
		file, err := os.Open(from.Path)
		if err != nil {
			return fmt.Errorf("open snapshot: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		if err := f.ReadSnapshot(file, accept); err != nil {
			return fmt.Errorf("%w: %s", errSnapshotUnfit, err.Error()) // not as cut off: a file has no rest
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(snapshotSilenceMax, cancel)
	defer watch.Stop()
	at := from.JoinPath("v1/suppressions/snapshot")
	if next := f.Next(); next != (store.Key{}) {
		at.RawQuery = url.Values{"from": {next.String()}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("ask for snapshot: %w", err)
	}
	if token := s.cfg.Snapshot.Token; token.IsSet() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	resp, err := s.cfg.Snapshot.client().Do(req)
	if err != nil {
		return fmt.Errorf("%w: ask for snapshot: %w", store.ErrSnapshotCut, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	switch {
	case slices.Contains([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout}, resp.StatusCode):
		return fmt.Errorf("%w: the other replica answers %d", store.ErrSnapshotCut, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: the other replica answers %d", errSnapshotUnfit, resp.StatusCode)
	}
	return f.ReadSnapshot(&watched{resp.Body, watch}, accept)
}

// watched prolongs the time of who sends.
type watched struct {
	io.Reader
	watch *time.Timer
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if n > 0 {
		w.watch.Reset(snapshotSilenceMax)
	}
	return n, err
}
