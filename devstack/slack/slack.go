// Package slack stands in for Slack at the protocol: it takes what an incoming
// webhook takes, refuses what Slack refuses with Slack's words, keeps the
// messages and shows them on a local page. Faults can be ordered.
//
// It is for a laptop and for tests: messages are kept in memory, every client
// that reaches the port may read them, and nothing is forwarded.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// messagesMax bounds what is kept; the oldest go first.
	messagesMax = 1_000
	// headerTimeout and idleTimeout bound a connection.
	headerTimeout = 5 * time.Second
	idleTimeout   = time.Minute
	// drainTimeout bounds waiting for posts under way at the stop.
	drainTimeout = 2 * time.Second
	// webhookPath is where messages are posted; any path below it will do, as every
	// real webhook has its own.
	webhookPath = "/services/"
)

// Message is one that was taken.
type Message struct {
	At     time.Time `json:"at"`
	Path   string    `json:"path"` // of the webhook
	Text   string    `json:"text"`
	Blocks []Block   `json:"blocks,omitempty"`
}

// Server is the stand-in. Make it with New; its zero value is of no use.
type Server struct {
	listen string
	ready  chan struct{}

	mu       sync.Mutex
	addr     string        // guarded by mu
	running  *http.Server  // nil while away; guarded by mu
	served   chan error    // of running; guarded by mu
	messages []Message     // oldest first; guarded by mu
	posts    int           // all that came, refused ones too; guarded by mu
	faults   []Fault       // ordered, first first; guarded by mu
	changed  chan struct{} // closed and replaced with every post; guarded by mu
	now      func() time.Time
}

// New returns a server that will listen on the given address, "127.0.0.1:0" for
// any free port.
func New(listen string) *Server {
	return &Server{listen: listen, ready: make(chan struct{}), changed: make(chan struct{}), now: time.Now}
}

// Ready is closed once the server listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr returns host:port as listened on, "" before Ready.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// URL returns the address of the page with the messages.
func (s *Server) URL() string { return "http://" + s.Addr() + "/" }

// WebhookURL returns an incoming webhook.
func (s *Server) WebhookURL() string { return "http://" + s.Addr() + webhookPath + "T0000/B0000/local" }

// Run listens and serves until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Back(); err != nil {
		return err
	}
	close(s.ready)
	<-ctx.Done()
	return s.Away()
}

// Away makes connections be refused until Back.
func (s *Server) Away() error {
	s.mu.Lock()
	srv, served := s.running, s.served
	s.running = nil
	s.mu.Unlock()
	if srv == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close() // what is still under way is cut off, as a fault would
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the slack stand-in: %w", err)
	}
	return nil
}

// Back listens on the same port as before.
func (s *Server) Back() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return nil
	}
	listen := s.listen
	if s.addr != "" {
		listen = s.addr
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s for the slack stand-in: %w", listen, err)
	}
	s.addr = ln.Addr().String()
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	served := make(chan error, 1)
	s.running, s.served = srv, served
	go func() { served <- srv.Serve(ln) }()
	return nil
}

// Messages returns what was taken, oldest first. The caller owns the slice.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message{}, s.messages...)
}

// Posts returns how many posts came, refused ones included.
func (s *Server) Posts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

// Wait returns the messages as soon as there are at least n, else the cause of
// ctx's end.
func (s *Server) Wait(ctx context.Context, n int) ([]Message, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if got := s.Messages(); len(got) >= n {
			return got, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s.Messages(), context.Cause(ctx)
		}
	}
}

// Clear forgets all messages and ordered faults.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.faults, s.posts = nil, nil, 0
}

func (s *Server) keep(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) >= messagesMax {
		s.messages = append(s.messages[:0], s.messages[1:]...)
	}
	s.messages = append(s.messages, m)
	close(s.changed)
	s.changed = make(chan struct{})
}
