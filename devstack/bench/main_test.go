package bench_test

import (
	"os"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m, os.Args)) }
