package attacktest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// onslaught is how long an attack goes on, once all of it has connected, before
	// genuine senders begin, and attackTime how long both go on then. The first is
	// longer than an ingress spares a body that is young (0.5 s), and both together
	// are shorter than it waits for a slow one (4 s), so that nothing has ended yet.
	onslaught  = time.Second
	attackTime = 2 * time.Second
	// reopenRate is how many connections a second an attack opens again.
	reopenRate = 200
	// takenMin is the part of genuine requests that have to be taken.
	takenMin = 0.99
	// slowdownMax is how much slower the slowest of a hundred may get, compared
	// with the ingress that is not attacked, at the same time on the same machine.
	// Differences below noise say nothing.
	slowdownMax = 5
	noise       = 10 * time.Millisecond
)

// attack is what unknown peers do on one connection; it is done again on a new one
// when it ends.
type attack struct {
	name        string
	connections int
	peers       int // different addresses; 0 for that of genuine senders
	do          func(conn net.Conn, n int)
}

func head(source, header string) string {
	return "POST /v1/webhooks/" + source + " HTTP/1.1\r\nHost: x\r\n" + header + "\r\n"
}

func length(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }

const largest = 4 << 20

// zipped is a body that unpacks to a little less than the limit, so that its
// buffer is as large as the limit.
func zipped(text string) string {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
	_, _ = io.WriteString(w, strings.Repeat(text, (largest-1000)/len(text)))
	_ = w.Close() // of memory
	return b.String()
}

// tinyMembers is a body of members of five bytes that names a signature.
func tinyMembers(size int) string {
	return `{"signature":{"timestamp":"1","token":"t","signature":"00"},` + strings.Repeat(`"":0,`, size/5-20) + `"event-data":{}}`
}

// send writes text and waits until the server ends the connection or ctx of the
// attack does.
func send(conn net.Conn, text ...string) {
	for _, t := range text {
		if _, err := io.WriteString(conn, t); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, conn) // whatever comes
}

// trickle sends one byte of a body after another, pace of them a second.
func trickle(conn net.Conn, pace int, write func(n int) error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if write(pace/10) != nil {
			return
		}
	}
}

func attacks() []attack {
	bomb, spaces := zipped(`"":0,`), zipped(" ")
	tiny := tinyMembers(largest)
	return []attack{
		{"gzip that unpacks to the limit and stalls", 17, 1, func(c net.Conn, _ int) {
			send(c, head("attacked", "Content-Encoding: gzip\r\n"+length(len(spaces)+1)), spaces)
		}},
		{"the same from many addresses, chunked", 60, 60, func(c net.Conn, n int) {
			source := []string{"attacked", "attacked-too"}[n%2]
			send(c, head(source, "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), fmt.Sprintf("%x\r\n%s\r\n", len(spaces), spaces))
		}},
		{"thousands of stalled bodies", 4200, 20, func(c net.Conn, _ int) {
			send(c, head("attacked", length(5000)), strings.Repeat(" ", 100))
		}},
		{"unfinished bodies of the largest size", 40, 1, func(c net.Conn, _ int) {
			send(c, head("attacked", length(largest)), tiny[:largest-1000])
		}},
		{"the same from many addresses", 40, 40, func(c net.Conn, _ int) {
			send(c, head("attacked-too", length(largest)), tiny[:largest-1000])
		}},
		{"made-up certificates", 40, 10, func(c net.Conn, _ int) {
			body := fmt.Sprintf(`{"Type":"Notification","TopicArn":%q,"Message":"x","SignatureVersion":"2","Signature":"AAAA","SigningCertURL":"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-%032x.pem"}`, topicARN, rand.Uint64())
			send(c, head("ses", "Connection: close\r\nx-amz-sns-message-type: Notification\r\n"+length(len(body))), body)
		}},
		{"tiny members, whole", 8, 2, func(c net.Conn, _ int) {
			send(c, head("attacked", "Connection: close\r\n"+length(len(tiny))), tiny)
		}},
		{"gzip bombs, whole", 17, 4, func(c net.Conn, _ int) {
			send(c, head("attacked", "Connection: close\r\nContent-Encoding: gzip\r\n"+length(len(bomb))), bomb)
		}},
		{"unfinished headers", 4200, 20, func(c net.Conn, _ int) {
			send(c, "POST /v1/webhooks/attacked HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 15<<10))
		}},
		{"idle connections", 4200, 4, func(c net.Conn, _ int) {
			send(c, "GET /v1/webhooks/attacked HTTP/1.1\r\nHost: x\r\n\r\n")
		}},
		{"bodies at the least pace", 1500, 30, func(c net.Conn, _ int) {
			if _, err := io.WriteString(c, head("attacked", "Transfer-Encoding: chunked\r\n")); err == nil {
				trickle(c, 1100, func(n int) error {
					_, err := fmt.Fprintf(c, "%x\r\n%s\r\n", n, strings.Repeat(" ", n))
					return err
				})
			}
		}},
		{"promises without a body", 3000, 3, func(c net.Conn, _ int) {
			send(c, head("attacked", "Expect: 100-continue\r\n"+length(largest)))
		}},
		{"requests that nobody waits for", 50, 5, func(c net.Conn, _ int) {
			one := head("attacked", length(10)) + "0123456789"
			unknown := head("nobody", length(100))
			send(c, strings.Repeat(one, 20), unknown)
		}},
	}
}

// TestAttack_OtherSourcesGoOn has genuine senders at an ingress under attack and
// at one that is left alone.
func TestAttack_OtherSourcesGoOn(t *testing.T) {
	w := newWorld(t)
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) { w.hold(t, a) })
	}
	all := attacks()
	for i := range all {
		all[i].connections = max(2, all[i].connections/len(all))
	}
	t.Run("all of them", func(t *testing.T) { w.hold(t, all...) })
	for i := range all {
		all[i].peers = 0
	}
	t.Run("all of them from the address of genuine senders", func(t *testing.T) { w.hold(t, all...) })
}

// roundsMax is how often a round is played that was too slow, for the senders or for the
// limits of the ingress. What else the machine does only makes a round slower, so the
// quickest is the truest.
const roundsMax = 3

// hold plays attacks while genuine senders work.
func (w *world) hold(t *testing.T, attacks ...attack) {
	for round := 1; ; round++ {
		slow := w.round(t, attacks...)
		if slow == nil {
			return
		}
		if round == roundsMax {
			t.Error(slow)
			return
		}
		t.Logf("round %d: %v", round, slow)
	}
}

// round lets attacks go on while genuine senders work. It returns an error when
// these were answered too slowly, or too few of them with 200.
func (w *world) round(t *testing.T, attacks ...attack) (slow error) {
	under, alone := w.startTwo(t)
	senders := map[string]*sender{}
	for name, p := range map[string]*ingress{"under attack": under, "left alone": alone} {
		for _, hook := range []webhook{byHeader, byBody, attacked} {
			s := newSender(p, hook)
			s.post(0) // a source that has had one genuine webhook
			senders[name+", "+hook.source] = s
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var attackers, connected sync.WaitGroup
	for i, a := range attacks {
		connected.Add(a.connections)
		for n := range a.connections {
			attackers.Go(func() { a.run(ctx, a.address(under.addr, i, n), sync.OnceFunc(connected.Done)) })
		}
	}
	connected.Wait()
	pause(ctx, onslaught)
	sending, stop := context.WithTimeout(ctx, attackTime)
	defer stop()
	outcomes := map[string]outcome{}
	var mu sync.Mutex
	var genuine sync.WaitGroup
	for name, s := range senders {
		genuine.Go(func() {
			o := s.run(sending)
			mu.Lock()
			defer mu.Unlock()
			outcomes[name] = o
		})
	}
	genuine.Wait()
	peak := under.peakMemory()
	cancel()
	attackers.Wait()
	t.Logf("peak memory %d MiB, alone %d MiB", peak>>20, alone.peakMemory()>>20)
	if peak > memoryLimit {
		t.Errorf("%d MiB of memory, want at most %d", peak>>20, memoryLimit>>20)
	}
	for _, hook := range []webhook{byHeader, byBody, attacked} {
		got, want := outcomes["under attack, "+hook.source], outcomes["left alone, "+hook.source]
		t.Logf("%s: %s; left alone: %s", hook.source, got, want)
		if hook.source == attacked.source {
			continue // its own senders suffer, and repeat
		}
		if got.taken() < takenMin {
			slow = errors.Join(slow, fmt.Errorf("%s: %.1f %% are taken, want %g %%", hook.source, 100*got.taken(), 100*takenMin))
		}
		if got.p99() > slowdownMax*max(want.p99(), noise) {
			slow = errors.Join(slow, fmt.Errorf("%s: p99 is %s, and %s without an attack", hook.source, got.p99(), want.p99()))
		}
	}
	return slow
}

// address is where an attacker connects to, and from: 127.0.kind.peer.
type address struct {
	to         string
	kind, peer int
}

func (a attack) address(to string, kind, n int) address {
	if a.peers == 0 {
		return address{to, 0, genuineHost}
	}
	return address{to, 1 + kind, 1 + n%a.peers}
}

// run keeps one connection under attack until ctx is done.
func (a attack) run(ctx context.Context, at address, connected func()) {
	defer connected()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(at.kind), byte(at.peer))}}
	for ctx.Err() == nil {
		conn, err := d.DialContext(ctx, "tcp", at.to)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		end := context.AfterFunc(ctx, func() { _ = conn.Close() })
		connected()
		a.do(conn, at.peer)
		end()
		_ = conn.Close() // it may be closed already
		pause(ctx, time.Duration(a.connections)*time.Second/reopenRate)
	}
}

// pause waits for d of a test that is about real time: a load that runs.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
