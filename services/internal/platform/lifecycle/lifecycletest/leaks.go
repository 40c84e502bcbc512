package lifecycletest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

// lives numbers what labelled runs in this process.
var lives atomic.Int64

const (
	labelKey = "lifecycletest"
	// goneTries and goneWait bound the wait for goroutines that have nothing left
	// to do but to end, such as a connection that sees its peer gone.
	goneTries = 30
	goneWait  = time.Second
)

// labelled runs f, whose goroutines and theirs inherit a label, and returns the
// stacks of those that are left at a time. Other tests may run beside it.
func labelled(f func()) (leaks func() string) {
	label := strconv.FormatInt(lives.Add(1), 10)
	pprof.Do(context.Background(), pprof.Labels(labelKey, label), func(context.Context) { f() })
	return func() string {
		left := ""
		for range goneTries {
			synctest.Wait()
			if left = withLabel(label); left == "" {
				return ""
			}
			_ = lifecycle.Sleep(context.Background(), goneWait) // which does not end
		}
		return left
	}
}

// withLabel returns the stacks of the goroutines with a label.
func withLabel(label string) string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	var left []string
	want := fmt.Sprintf("%q:%q", labelKey, label)
	for _, block := range strings.Split(all.String(), "\n\n") {
		if strings.Contains(block, want) {
			left = append(left, block)
		}
	}
	return strings.Join(left, "\n\n")
}
