package api

import (
	"net/http"
	"time"
)

const (
	// smallBytesMax parts the requests of a few addresses from bulk ones, so that
	// bulk never keeps a single check waiting for a place.
	smallBytesMax = 64 << 10

	// smallInFlightMax bounds small requests that are being worked on: 64 MiB of
	// bodies together, and far more than two processors can keep busy.
	smallInFlightMax = 1024

	// bulkInFlightMax bounds the others: 256 MiB of bodies and addresses at worst.
	bulkInFlightMax = 16

	// streamsInFlightMax bounds the streams of checks, each of which lasts as long as its
	// sender likes: 3 MiB of lines and answers together where few are listed, 160 MiB where
	// all are and have the longest notes, and more than two processors can keep busy.
	streamsInFlightMax = 16

	// placeWait is how long a request waits for a place before it is answered 503:
	// as long as a caller can wait for a short peak to pass.
	placeWait = time.Second
)

// places bound the requests that are being worked on, and so the memory.
type places struct {
	small, bulk, streams chan struct{} // one token a request
}

func newPlaces() places {
	return places{
		small: make(chan struct{}, smallInFlightMax), bulk: make(chan struct{}, bulkInFlightMax),
		streams: make(chan struct{}, streamsInFlightMax),
	}
}

// take waits for a place for r; ok is false when there is none in time. A body
// of unknown length counts as bulk.
func (p places) take(r *http.Request) (leave func(), ok bool) {
	kind := p.bulk
	if r.URL.Path == pathStream {
		kind = p.streams
	} else if r.URL.Path != pathExport && r.URL.Path != pathSnapshot && r.ContentLength >= 0 && r.ContentLength <= smallBytesMax {
		kind = p.small
	}
	select {
	case kind <- struct{}{}:
		return func() { <-kind }, true
	default:
	}
	timer := time.NewTimer(placeWait)
	defer timer.Stop()
	select {
	case kind <- struct{}{}:
		return func() { <-kind }, true
	case <-timer.C:
	case <-r.Context().Done():
	}
	return nil, false
}
