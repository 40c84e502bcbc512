package email

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// FuzzReplies lets a server say anything, one line after each of ours, and then hang up.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{
		"220 hi\n250 ok\n250 ok\n250 ok\n354 go\n250 taken\n221 bye",
		"220 hi\n250 ok\n550 5.1.1 no\n250 ok", "220 hi\n250 ok\n250 ok\n550 5.1.1 person@example.com is unknown", "220 hi\n250 ok\n250 ok\n250 ok\n354 go\n552 too large",
		"554 go away", "421 later", "", "220", "999 x", "220-a\n220-b", "-1 x", "220 hi\n250-STARTTLS\n250 ok", "\x16\x03\x01", "220 hi\n000 x",
	} {
		f.Add(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	scripts := make(chan string, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			say(c, strings.Split(<-scripts, "\n"))
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	f.Fuzz(func(t *testing.T, script string) {
		c := New(Config{Host: "127.0.0.1", Port: port, TLS: noTLS, From: "a@example.com", To: []string{"person@example.com"}}, wording.Links{})
		scripts <- script
		err := c.Deliver(context.Background(), []outbox.Notice{wording.Example(schemas.NotifyFiring, time.Now())})
		if err == nil {
			if !strings.Contains(script, "354") {
				t.Errorf("delivered without a server that took it: %q", script)
			}
			return
		}
		fault, ok := errors.AsType[*outbox.Fault](err)
		if !ok || len(fault.Reason) > 32 || strings.ContainsAny(fault.Reason, " @\n") || strings.Contains(err.Error(), "person@") {
			t.Errorf("%q: %v", script, err)
		}
		if strings.HasPrefix(script, "421") && fate.Final(err) {
			t.Errorf("%q is final: %v", script, err)
		}
	})
}

// say answers each line of the client with one of the script.
func say(c net.Conn, lines []string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 64<<10)
	for i, line := range lines {
		if i > 0 {
			if n, err := c.Read(buf); err != nil || n == 0 {
				return
			}
		}
		if _, err := io.WriteString(c, line+"\r\n"); err != nil {
			return
		}
	}
}
