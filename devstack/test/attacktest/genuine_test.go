package attacktest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// signed returns the hex HMAC that three of the providers send.
func signed(text string) string {
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// webhook is the genuine webhook number n of a source.
type webhook struct {
	source string
	make   func(n int) (body string, header http.Header)
}

var byHeader = webhook{"by-header", func(n int) (string, http.Header) {
	body := fmt.Sprintf(`{"event":"sent","time":%d,"MessageID":%d,"email":"ana@example.com"}`, time.Now().Unix(), n+1)
	return body, http.Header{"Authorization": {"Basic aG9vazpwYXNzd29yZC1vZi10aGUtaG9vaw=="}}
}}

var byBody = webhook{"by-body", func(n int) (string, http.Header) {
	body := fmt.Sprintf(`{"events":[{"event":"delivery","message_id":"m-%d","email":"ana@example.com","timestamp":%d,"event_id":"e-%d"}]}`, n, time.Now().Unix(), n)
	return body, http.Header{"Mailtrap-Signature": {signed(body)}}
}}

var attacked = webhook{"attacked", func(n int) (string, http.Header) {
	now := time.Now().Unix()
	token := fmt.Sprintf("token-%d-%d", n, time.Now().UnixNano())
	return fmt.Sprintf(`{"signature":{"timestamp":"%d","token":"%s","signature":"%s"},"event-data":{"event":"delivered","id":"i-%d","timestamp":%d,"recipient":"ana@example.com","message":{"headers":{"message-id":"%d@example.org"}}}}`,
		now, token, signed(fmt.Sprint(now, token)), n, now, n), nil
}}

// sender posts the webhooks of one source to one ingress, as a provider does:
// over connections that are kept.
type sender struct {
	url     string
	webhook webhook
	client  *http.Client
}

func newSender(p *ingress, w webhook) *sender {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, genuineHost)}}
	return &sender{
		url: "http://" + p.addr + "/v1/webhooks/" + w.source, webhook: w,
		client: &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 8}},
	}
}

// genuineHost is the last part of the address that genuine senders have.
const genuineHost = 1

// post returns the status, 0 where there is none.
func (s *sender) post(n int) int {
	body, header := s.webhook.make(n)
	req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return 0
	}
	if header != nil {
		req.Header = header
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

// outcome is how the webhooks of one source fared.
type outcome struct {
	statuses map[int]int
	times    []time.Duration // of those answered 200
}

// taken is the part that was answered 200.
func (o outcome) taken() float64 {
	all := 0
	for _, n := range o.statuses {
		all += n
	}
	return float64(o.statuses[200]) / float64(max(all, 1))
}

func (o outcome) p99() time.Duration {
	if len(o.times) == 0 {
		return patience
	}
	slices.Sort(o.times)
	return o.times[len(o.times)*99/100]
}

func (o outcome) String() string {
	return fmt.Sprintf("%v, p99 %s", o.statuses, o.p99().Round(100*time.Microsecond))
}

// sendInterval is how often a source sends; each request is on its own, however
// long the one before takes.
const sendInterval = 10 * time.Millisecond

// run sends until ctx is done and returns how that went.
func (s *sender) run(ctx context.Context) outcome {
	o := outcome{statuses: map[int]int{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	tick := time.NewTicker(sendInterval)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			all.Wait()
			return o
		case <-tick.C:
			all.Go(func() {
				began := time.Now()
				status := s.post(n)
				took := time.Since(began)
				mu.Lock()
				defer mu.Unlock()
				o.statuses[status]++
				if status == 200 {
					o.times = append(o.times, took)
				}
			})
		}
	}
}
