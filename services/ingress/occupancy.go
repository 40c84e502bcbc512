package ingress

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/ingress/internal/room"
)

// occupancy is what the room holds and whom it refused.
type occupancy struct {
	refused map[room.Share]prometheus.Counter
}

func newOccupancy(reg prometheus.Registerer, r *room.Room) (*occupancy, error) {
	gauge := func(name, help string, of func(all, unproven room.Amount) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mailstream_ingress_" + name, Help: help}, func() float64 {
			return float64(of(r.Held()))
		})
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailstream_ingress_room_refused_requests_total",
		Help: "Requests refused or ended for want of room, by the share that was full. Worry when all or source grows: these were proven.",
	}, []string{"share"})
	for _, c := range []prometheus.Collector{
		refused,
		gauge("requests_in_flight", "Requests being worked on.",
			func(all, _ room.Amount) int64 { return all.Requests }),
		gauge("body_bytes_in_flight", "Bytes of their bodies. Worry when it nears the limit.",
			func(all, _ room.Amount) int64 { return all.Bytes }),
		gauge("unproven_requests_in_flight", "Requests among them whose sender is not proven. Worry when it stays at its share.",
			func(_, unproven room.Amount) int64 { return unproven.Requests }),
		gauge("unproven_body_bytes_in_flight", "Bytes of the bodies of unproven requests. Worry when it stays at its share.",
			func(_, unproven room.Amount) int64 { return unproven.Bytes }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register occupancy: %w", err)
		}
	}
	o := &occupancy{refused: map[room.Share]prometheus.Counter{}}
	for _, share := range room.Shares() {
		o.refused[share] = refused.WithLabelValues(string(share))
	}
	return o, nil
}
