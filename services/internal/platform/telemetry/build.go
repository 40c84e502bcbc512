package telemetry

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// version and revision are set at link time:
// -ldflags "-X github.com/mailstream/mailstream/services/internal/platform/telemetry.version=1.2.3".
var version, revision string

// unreleased is the version of a binary that was built without one, and the
// revision of a binary that was built without Git history.
const unreleased = "devel"

// BuildVersion returns the version of this binary.
func BuildVersion() string {
	info, _ := debug.ReadBuildInfo()
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	if info == nil {
		return cmp.Or(version, unreleased)
	}
	return cmp.Or(version, info.Main.Version, unreleased)
}

func revisionOf(info *debug.BuildInfo) string {
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return cmp.Or(revision, s.Value)
			}
		}
	}
	return cmp.Or(revision, unreleased)
}

// BuildInfo returns the metric that says what runs: 1, with the component and
// its version as labels. The caller registers it. Rules join with it to name the
// component of a target, whatever labels the scrape gives.
func BuildInfo(component string) prometheus.Collector {
	info, _ := debug.ReadBuildInfo()
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mailstream_build_info",
		Help: "1, with the version of the component as labels. Look at it when replicas differ.",
	}, []string{"component", "version", "revision", "goversion"})
	g.WithLabelValues(component, versionOf(info), revisionOf(info), runtime.Version()).Set(1)
	return g
}
