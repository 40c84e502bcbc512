package servicetest

import (
	"net"
	"testing"
)

func TestFreePort_IsNoOtherTestsUntilItsOwnEnds(t *testing.T) {
	t.Parallel()
	var port Port
	t.Run("while it has it", func(t *testing.T) {
		if port = FreePort(t); claim(t, port.Number) {
			t.Errorf("port %d is given to another test", port.Number)
		}
		for range 2 { // its server goes away and comes back
			l, err := net.Listen("tcp", port.Addr)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if !claim(t, port.Number) {
		t.Errorf("port %d is claimed by a test that is over", port.Number)
	}
}
