package ingress

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

const sentItem = `{"event":"sent","time":1767225600,"MessageID":576460761234567891,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01","email":"ana@example.com","mj_campaign_id":9001,"mj_contact_id":42,"customcampaign":"spring-2026","mj_message_id":"576460761234567891","smtp_reply":"sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)","CustomID":"order-7781","Payload":"tenant=t-9"}`

// driftingItem has an unknown field, a known one of a wrong type and no time.
const driftingItem = `{"event":"sent","time":["soon"],"MessageID":576460761234567891,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01","email":"ana@example.com","mj_campaign_id":9001,"mj_contact_id":42,"customcampaign":{"name":"spring-2026"},"mj_message_id":"576460761234567891","smtp_reply":"sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)","CustomID":"order-7781","Payload":"tenant=t-9","novelty":1}`

func group(item string, n int) string {
	return "[" + strings.Repeat(item+",", n-1) + item + "]"
}

// acknowledging stands for a Kafka that has already answered.
type acknowledging struct{}

func (acknowledging) Publish(context.Context, ...*kgo.Record) error { return nil }

// discard is an http.ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkServe is a request's way through all stages, Kafka and the network
// left out.
func BenchmarkServe(b *testing.B) {
	for _, tt := range []struct {
		name, item string
		size       int
	}{{"mailjet", sentItem, 1}, {"mailjet", sentItem, 100}, {"drifting", driftingItem, 1}, {"drifting", driftingItem, 100}} {
		b.Run(tt.name+"/batch="+strconv.Itoa(tt.size), func(b *testing.B) {
			s, err := New(testConfig(), testShared(b, kafka.Default()))
			if err != nil {
				b.Fatal(err)
			}
			s.producer = acknowledging{}
			getReady(b, s)
			body := []byte(tt.item)
			if tt.size > 1 {
				body = []byte(group(tt.item, tt.size))
			}
			r := httptest.NewRequest(http.MethodPost, Prefix+testSource, nil)
			r.SetBasicAuth(testUser, testPassword)
			r.ContentLength = int64(len(body))
			reader := bytes.NewReader(body)
			r.Body = nopCloser{reader}
			w := discard{header: http.Header{}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(body)
				s.ServeHTTP(w, r)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tt.size), "ns/event")
		})
	}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
