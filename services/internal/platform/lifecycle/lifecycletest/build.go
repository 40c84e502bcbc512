package lifecycletest

import (
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

// HalfBuilt calls a constructor with each of its metrics registered before, so that
// one step after the other fails or panics, and wants no service and nothing left of
// the steps before. build returns the life of the service, nil when there is none.
func HalfBuilt(t *testing.T, build func(reg *prometheus.Registry) (*lifecycle.Life, error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		for _, name := range metricsOf(t, build) {
			reg := prometheus.NewRegistry()
			reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "registered before"}))
			leaks := labelled(func() {
				defer func() { _ = recover() }() // it fails, too
				life, err := build(reg)
				if err == nil || life != nil {
					t.Errorf("with %s registered before, New = %v, %v; want no service and an error", name, life, err)
				}
			})
			if left := leaks(); left != "" {
				t.Errorf("with %s registered before, goroutines are left:\n%s", name, left)
			}
		}
	})
}

var fullName = regexp.MustCompile(`fqName: "([^"]+)"`)

// metricsOf returns the names of all metrics that the service registers.
func metricsOf(t *testing.T, build func(reg *prometheus.Registry) (*lifecycle.Life, error)) []string {
	t.Helper()
	reg := prometheus.NewRegistry()
	life, err := build(reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := life.Close(); err != nil {
		t.Errorf("close a service that did not run: %v", err)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		reg.Describe(descs)
		close(descs)
	}()
	var names []string
	for d := range descs {
		names = append(names, fullName.FindStringSubmatch(d.String())[1])
	}
	return names
}
