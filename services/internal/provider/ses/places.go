package ses

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

const (
	// fetchPlaces is how many certificates of one topic are fetched at once for
	// peers that have proven a request lately, and as many for unknown peers. A
	// certificate changes about once a year.
	fetchPlaces = 2
	// fetchWaitMax bounds the wait for a place. Amazon answers a made-up name within
	// a tenth of a second, and waits 15 s for us.
	fetchWaitMax = 3 * time.Second
)

// places bounds who may fetch: invented names from unknown peers take nothing
// from another topic or from known peers, and nothing from another unknown peer
// for long.
type places struct {
	topics map[string]topicPlaces // never written to after New

	mu    sync.Mutex
	asked map[netip.Prefix]*asking // by unknown peers, guarded by mu
}

type topicPlaces struct{ unknown, known chan struct{} }

// asking is the one name that an unknown peer may ask for at a time.
type asking struct {
	url  string
	many int // requests that wait for it
}

func newPlaces(topics []string) *places {
	p := &places{topics: map[string]topicPlaces{}, asked: map[netip.Prefix]*asking{}}
	for _, topic := range topics {
		p.topics[topic] = topicPlaces{unknown: make(chan struct{}, fetchPlaces), known: make(chan struct{}, fetchPlaces)}
	}
	return p
}

// take waits for a place to fetch url in, for a message of topic, and returns
// what gives it back; nil when there was none in time.
func (p *places) take(ctx context.Context, topic, url string, r *webhookverify.Request) (release func()) {
	place := p.topics[topic].known
	done := func() {}
	if !r.Known {
		if !p.ask(r.Peer, url) {
			return nil
		}
		place = p.topics[topic].unknown
		done = func() { p.answered(r.Peer) }
	}
	wait := time.NewTimer(fetchWaitMax)
	defer wait.Stop()
	select {
	case place <- struct{}{}:
		return func() { <-place; done() }
	case <-wait.C:
	case <-ctx.Done():
	}
	done()
	return nil
}

// ask is false where peer asks for another name already.
func (p *places) ask(peer netip.Prefix, url string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.asked[peer]
	if a == nil {
		a = &asking{url: url}
		p.asked[peer] = a
	}
	if a.url != url {
		return false
	}
	a.many++
	return true
}

func (p *places) answered(peer netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.asked[peer]; a.many > 1 {
		a.many--
	} else {
		delete(p.asked, peer)
	}
}
