package ses

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

const otherTopic = "arn:aws:sns:eu-west-1:123456789012:other-events"

// from is a message of topic that names a certificate, sent from a peer.
func (w *amazon) from(peer int, topic, name string) *webhookverify.Request {
	r := w.message(func(m *Message) {
		m.TopicArn, m.SigningCertURL = topic, "https://"+snsHostName+name
	})
	r.Peer = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(peer)}), 32)
	return r
}

func madeUp(n int) string { return fmt.Sprintf("/SimpleNotificationService-%032x.pem", n) }

// TestSNS_MadeUpNamesStarveNobody lets unknown peers ask for certificates that do not
// come, as many as they can, and wants genuine messages of other topics, of peers
// that are known and of other unknown peers proven meanwhile.
func TestSNS_MadeUpNamesStarveNobody(t *testing.T) {
	t.Parallel()
	w := newAmazon(t)
	hang := make(chan struct{})
	for n := range 40 {
		w.Answer(snsHostName+madeUp(n), func(http.ResponseWriter) { <-hang })
	}
	s := snsSettings()
	own := s.Own[SNSField].(*SNS)
	own.TopicArns = append(own.TopicArns, otherTopic)
	// Time stands still, so that every certificate is new.
	v := verifytest.Verifier(t, scheme(), s, webhookverify.Options{Clock: snsClock, Client: w.Client}).(*verifier)
	ctx, cancel := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	for n := range 40 { // one peer asks for all of them
		attack.Go(func() { v.Verify(ctx, w.from(1, snsTopic, madeUp(n))) })
	}
	asks := func(n int) bool {
		v.certificates.places.mu.Lock()
		defer v.certificates.places.mu.Unlock()
		return len(v.certificates.places.asked) == n && len(v.certificates.places.topics[snsTopic].unknown) > 0
	}
	for !asks(1) { // the others were refused at once
		runtime.Gosched()
	}
	genuine := snsPath
	w.Text(snsHostName+genuine, w.certificate)
	if got := v.Verify(t.Context(), w.from(2, snsTopic, genuine)); got != webhookverify.Genuine {
		t.Errorf("another unknown peer: verdict %v", got)
	}
	attack.Go(func() { v.Verify(ctx, w.from(3, snsTopic, madeUp(1))) }) // takes the second place
	for !asks(2) {
		runtime.Gosched()
	}
	next := strings.Replace(snsPath, "0", "1", 1)
	w.Text(snsHostName+next, w.certificate)
	known := w.from(4, snsTopic, next)
	known.Known = true
	if got := v.Verify(t.Context(), known); got != webhookverify.Genuine {
		t.Errorf("a known peer: verdict %v", got)
	}
	third := strings.Replace(snsPath, "0", "2", 1)
	w.Text(snsHostName+third, w.certificate)
	if got := v.Verify(t.Context(), w.from(5, otherTopic, third)); got != webhookverify.Genuine {
		t.Errorf("another topic: verdict %v", got)
	}
	cancel()
	close(hang)
	attack.Wait()
	if !asksNothing(v) {
		t.Error("a place is not given back")
	}
}

func asksNothing(v *verifier) bool {
	p := v.certificates.places
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range p.topics {
		if len(topic.unknown)+len(topic.known) > 0 {
			return false
		}
	}
	return len(p.asked) == 0
}

func TestPlaces_TheWaitHasAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces([]string{snsTopic})
		peer := func(n byte) *webhookverify.Request {
			return &webhookverify.Request{Peer: netip.PrefixFrom(netip.AddrFrom4([4]byte{n}), 32)}
		}
		var held []func()
		for n := range byte(fetchPlaces) {
			held = append(held, p.take(t.Context(), snsTopic, "u", peer(n)))
		}
		began := time.Now()
		if p.take(t.Context(), snsTopic, "u", peer(100)) != nil || time.Since(began) != fetchWaitMax {
			t.Errorf("a place beyond all after %s", time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			held[0]()
		}()
		last := p.take(t.Context(), snsTopic, "u", peer(100))
		if last == nil {
			t.Fatal("the place that was given back is not taken")
		}
		if p.take(t.Context(), snsTopic, "another", peer(100)) != nil {
			t.Error("an unknown peer asks for two names at once")
		}
		last()
		held[1]()
		if len(p.asked) > 0 {
			t.Errorf("%d peers are remembered", len(p.asked))
		}
	})
}
