package email

import (
	"bufio"
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

// A server that takes the connection and stops at any step keeps an attempt no longer
// than its time limit, and the mail is tried again.
func TestDeliver_ServerThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, stopAt string }{
		{"before the greeting", ""}, {"after EHLO", "EHLO"}, {"after MAIL", "MAIL"}, {"after DATA", "DATA"}, {"after the mail", "."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			port := hangingServer(t, tt.stopAt)
			c := New(Config{Host: "127.0.0.1", Port: port, TLS: noTLS, From: "alerts@example.com", To: []string{"ops@example.com"}}, wording.Links{})
			c.timeout = 500 * time.Millisecond
			err := c.Deliver(context.Background(), []outbox.Notice{wording.Example(schemas.NotifyFiring, time.Now())})
			if f, ok := errors.AsType[*outbox.Fault](err); !ok || fate.Final(err) {
				t.Errorf("deliver: %v, want a fault that passes; reason %+v", err, f)
			}
		})
	}
}

// hangingServer speaks SMTP until a line begins with stopAt, and says nothing from then
// on: of the connection it only reads.
func hangingServer(t *testing.T, stopAt string) (port int) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // ends the server
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go converse(conn, stopAt)
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

func converse(conn net.Conn, stopAt string) {
	defer conn.Close()
	lines := bufio.NewReader(conn)
	for answer := "220 hello"; stopAt != ""; {
		if answer != "" {
			if _, err := io.WriteString(conn, answer+"\r\n"); err != nil {
				return
			}
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		word := strings.Fields(line + " -")[0]
		if word == stopAt {
			break
		}
		switch word {
		case "EHLO", "MAIL", "RCPT":
			answer = "250 fine"
		case "DATA":
			answer = "354 go on"
		default:
			answer = "" // a line of the mail
		}
	}
	_, _ = io.Copy(io.Discard, lines) // until the client leaves
}
