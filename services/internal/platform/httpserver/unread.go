package httpserver

import (
	"bytes"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// unread counts the requests that net/http refuses before a handler sees them: not
// HTTP, or headers beyond the limit. Without it they leave no trace.
type unread struct {
	requests *prometheus.CounterVec
	log      *zap.Logger
}

// unreadStatuses are what net/http answers then; the rest counts as other.
func unreadStatuses() []string { return []string{"400", "417", "431", "501", "505"} }

const unreadOther = "other"

func newUnread(log *zap.Logger, reg prometheus.Registerer) (*unread, error) {
	u := &unread{log: telemetry.Throttled(log, telemetry.ByReason), requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailstream_http_unread_requests_total",
		Help: "Requests to the API that were refused before they were read, by status: 431 for headers beyond http.header_bytes_max. Worry when 431 grows.",
	}, []string{"status"})}
	for _, status := range append(unreadStatuses(), unreadOther) {
		u.requests.WithLabelValues(status)
	}
	return u, reg.Register(u.requests)
}

var (
	statusLine = []byte("HTTP/1.1 ")
	// ownHeaders are in no answer of a handler: those have a date.
	ownHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
)

// ownAnswerBytes is where ownHeaders ends at the latest.
const ownAnswerBytes = 512

// note looks at what is about to be written to a connection.
func (u *unread) note(answer []byte) {
	if !bytes.HasPrefix(answer, statusLine) || !bytes.Contains(answer[:min(len(answer), ownAnswerBytes)], ownHeaders) {
		return
	}
	got := answer[len(statusLine):]
	status := unreadOther
	for _, s := range unreadStatuses() {
		if bytes.HasPrefix(got, []byte(s)) {
			status = s
		}
	}
	u.requests.WithLabelValues(status).Inc()
	u.log.Warn("request was refused unread", telemetry.Reason(status))
}
