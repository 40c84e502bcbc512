package telemetry_test

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

func TestBuildInfo_SaysWhatRuns(t *testing.T) {
	t.Parallel()
	reg := telemetry.NewRegistry()
	reg.MustRegister(telemetry.BuildInfo("ingress"))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "mailstream_build_info" {
			continue
		}
		m := f.GetMetric()[0]
		got := map[string]string{}
		for _, l := range m.GetLabel() {
			got[l.GetName()] = l.GetValue()
			if l.GetValue() == "" {
				t.Errorf("label %s is empty", l.GetName())
			}
		}
		want := map[string]string{"component": "ingress", "version": telemetry.BuildVersion(), "revision": got["revision"], "goversion": runtime.Version()}
		if diff := cmp.Diff(want, got); diff != "" || m.GetGauge().GetValue() != 1 {
			t.Errorf("value %v, labels (-want +got):\n%s", m.GetGauge().GetValue(), diff)
		}
		return
	}
	t.Error("the metric is not there")
}
