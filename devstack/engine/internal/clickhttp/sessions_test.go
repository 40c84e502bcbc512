//go:build linux

package clickhttp

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/devstack/engine/internal/chdb"
)

func newSessions() *sessions { return &sessions{byID: map[sessionKey]*httpSession{}} }

// code returns the number of an error of the interface, 0 for none.
func code(err error) int {
	if e, ok := errors.AsType[*chdb.Exception](err); ok {
		return e.Code
	}
	return 0
}

func TestSessions_EndWithTheirTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSessions()
		o := sessionOptions{id: "a", timeout: 10 * time.Second}
		session, release, err := s.take("u", o)
		if err != nil {
			t.Fatal(err)
		}
		session.remember([]byte("USE system"))
		time.Sleep(time.Minute) // a request may take longer than the timeout
		release()
		time.Sleep(9 * time.Second)
		if session, release, err = s.take("u", o); err != nil || len(session.statements) != 1 {
			t.Fatalf("before its end: %v, %v", session, err)
		}
		release()
		time.Sleep(11 * time.Second)
		o.check = true
		if _, _, err := s.take("u", o); code(err) != codeSessionNotFound {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestSessions_AreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSessions()
		take := func(n int) error {
			_, release, err := s.take("u", sessionOptions{id: fmt.Sprint(n), timeout: time.Second})
			if err == nil {
				release()
			}
			return err
		}
		for n := range sessionsMax {
			if err := take(n); err != nil {
				t.Fatal(err)
			}
		}
		if err := take(sessionsMax); code(err) != codeTooManyQueries {
			t.Errorf("one too many: %v", err)
		}
		time.Sleep(2 * time.Second)
		if err := take(sessionsMax); err != nil || len(s.byID) != 1 {
			t.Errorf("after the others' end: %v, %d left", err, len(s.byID))
		}
	})
}

func TestSession_RemembersOnlySoMuch(t *testing.T) {
	t.Parallel()
	s := &httpSession{}
	for n := range sessionStatementsMax {
		statement := []byte(fmt.Sprintf("SET param_a%d = 1", n))
		if err := s.allows(statement); err != nil {
			t.Fatal(err)
		}
		s.remember(statement)
	}
	if err := s.allows([]byte("USE another")); code(err) != codeTooManyBytes {
		t.Errorf("one too many: %v", err)
	}
	again := []byte("SET param_a7 = 1")
	if err := s.allows(again); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	s.remember(again)
	if n := len(s.statements); n != sessionStatementsMax || s.statements[n-1] != string(again) {
		t.Errorf("%d statements, last %q", n, s.statements[n-1])
	}
	if err := s.allows([]byte("SET a = '" + fmt.Sprintf("%*d", sessionTextMax, 1) + "'")); code(err) != codeTooManyBytes {
		t.Errorf("a long one: %v", err)
	}
}
