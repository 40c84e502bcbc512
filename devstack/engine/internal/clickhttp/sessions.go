//go:build linux

package clickhttp

import (
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mailstream/mailstream/devstack/engine/internal/sqltext"
)

// Limits of HTTP sessions; the first two are a server's defaults.
const (
	// sessionTimeDefault is how long a session without requests is kept.
	sessionTimeDefault = time.Minute
	// sessionTimeMax bounds what a request may ask for; max_session_timeout.
	sessionTimeMax = time.Hour
	// sessionsMax bounds the sessions kept at once: a driver makes one a client,
	// and nothing but time ends most of them.
	sessionsMax = 10_000
	// sessionStatementsMax bounds what one session remembers; each is rerun before
	// every request of the session.
	sessionStatementsMax = 100
	// sessionTextMax bounds the text of one statement that is remembered, in bytes.
	sessionTextMax = 16 << 10
)

// sessions are the HTTP sessions by user and session_id. A session is the text
// of its SET and USE statements: each request gets a new connection, on which
// they are run first.
type sessions struct {
	mu   sync.Mutex
	byID map[sessionKey]*httpSession
}

type sessionKey struct{ user, id string }

// httpSession is owned by the request that took it until it is released.
type httpSession struct {
	statements []string
	busy       bool
	expires    time.Time // while not busy
}

// sessionOptions are the parameters of a request that are about its session.
type sessionOptions struct {
	id      string // "" means none
	timeout time.Duration
	check   bool // the session must exist
	end     bool // close it after the request
}

func readSessionOptions(query url.Values) (sessionOptions, error) {
	o := sessionOptions{
		id: query.Get("session_id"), timeout: sessionTimeDefault,
		check: isSet(query.Get("session_check")), end: isSet(query.Get("close_session")),
	}
	text := query.Get("session_timeout")
	if o.id == "" || text == "" {
		return o, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return o, exception(codeInvalidSessionTimeout, "Invalid session timeout: '%s'", text)
	}
	if o.timeout = time.Duration(seconds) * time.Second; o.timeout > sessionTimeMax {
		return o, exception(codeInvalidSessionTimeout, "Session timeout '%s' is larger than max_session_timeout: %d", text, int(sessionTimeMax.Seconds()))
	}
	return o, nil
}

// take gives q its session, made when it is not there, until release is called.
func (s *sessions) take(user string, o sessionOptions) (session *httpSession, release func(), err error) {
	if o.id == "" {
		return nil, func() {}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := sessionKey{user, o.id}, time.Now()
	session = s.byID[key]
	if session != nil && !session.busy && now.After(session.expires) {
		delete(s.byID, key)
		session = nil
	}
	switch {
	case session == nil && o.check:
		return nil, nil, exception(codeSessionNotFound, "Session %s not found", o.id)
	case session != nil && session.busy:
		return nil, nil, exception(codeSessionIsLocked, "Session %s is locked by a concurrent client", o.id)
	case session == nil:
		if len(s.byID) >= sessionsMax {
			s.sweep(now)
		}
		if len(s.byID) >= sessionsMax {
			return nil, nil, exception(codeTooManyQueries, "too many sessions, maximum: %d", sessionsMax)
		}
		session = &httpSession{}
		s.byID[key] = session
	}
	session.busy = true
	return session, func() { s.release(key, session, o) }, nil
}

func (s *sessions) release(key sessionKey, session *httpSession, o sessionOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.busy, session.expires = false, time.Now().Add(o.timeout)
	if o.end {
		delete(s.byID, key)
	}
}

// sweep forgets the sessions whose time is over.
func (s *sessions) sweep(now time.Time) {
	for key, session := range s.byID {
		if !session.busy && now.After(session.expires) {
			delete(s.byID, key)
		}
	}
}

// allows refuses what a session cannot keep.
func (s *httpSession) allows(text []byte) error {
	if s == nil {
		return nil
	}
	words := sqltext.Words(text, 4)
	if len(words) > 1 && words[0] == "CREATE" && slices.Contains(words, "TEMPORARY") {
		return exception(codeNotImplemented, "the embedded engine keeps no temporary tables in HTTP sessions; make a table with ENGINE = Memory and drop it")
	}
	if changesSession(words) && (len(text) > sessionTextMax || len(s.statements) >= sessionStatementsMax && !slices.Contains(s.statements, string(text))) {
		return exception(codeTooManyBytes, "a session keeps at most %d SET and USE statements of %d bytes", sessionStatementsMax, sessionTextMax)
	}
	return nil
}

// remember keeps a statement that has succeeded, if it changes the session. A
// repeated one moves to the end.
func (s *httpSession) remember(text []byte) {
	if s == nil || !changesSession(sqltext.Words(text, 2)) {
		return
	}
	s.statements = slices.DeleteFunc(s.statements, func(have string) bool { return have == string(text) })
	s.statements = append(s.statements, string(text))
}

func changesSession(words []string) bool {
	if len(words) == 0 {
		return false
	}
	return words[0] == "USE" || words[0] == "SET" && (len(words) == 1 || words[1] != "ROLE" && words[1] != "DEFAULT")
}
