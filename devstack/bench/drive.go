package bench

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// drivePlan is one load.
type drivePlan struct {
	connections int
	batch       int // events a request; 1 sends bare objects
	duration    time.Duration
}

const (
	// latenciesMax bounds what one connection remembers: ten seconds at 20,000
	// requests a second.
	latenciesMax = 200_000
	// stallMax is how long one answer may take before the run is given up.
	stallMax = 15 * time.Second
)

// event is what Mailjet sends for a delivery; the zeros of MessageID are
// overwritten, so that no two events are one.
const event = `{"event":"sent","time":1767225600,"MessageID":57646076000000000000,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01",` +
	`"email":"ana.%08d@example.com","mj_campaign_id":9001,"mj_contact_id":42,"customcampaign":"spring-2026","mj_message_id":"576460761234567891",` +
	`"smtp_reply":"sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)","CustomID":"order-7781","Payload":"tenant=t-9"}`

// messageIDDigits of the MessageID count up.
const messageIDDigits = 12

// drive sends requests over plan.connections connections, each waiting for its
// answer, and returns what came out. The client is as small as can be, because
// it shares the machine with what it measures.
func drive(addr string, plan drivePlan) (Load, error) {
	senders := make([]*sender, plan.connections)
	for i := range senders {
		senders[i] = newSender(i, plan.batch)
	}
	began := time.Now()
	end := began.Add(plan.duration)
	errs := make([]error, len(senders))
	var wg sync.WaitGroup
	for i, s := range senders {
		wg.Go(func() { errs[i] = s.run(addr, end) })
	}
	wg.Wait()
	took := time.Since(began).Seconds()
	if err := errors.Join(errs...); err != nil {
		return Load{}, err
	}
	var all []time.Duration
	for _, s := range senders {
		all = append(all, s.latencies...)
	}
	if len(all) == 0 {
		return Load{}, errors.New("drive load: no request was answered")
	}
	slices.Sort(all)
	requests := float64(len(all)) / took
	return Load{
		Requests: requests, Events: requests * float64(plan.batch),
		P50: all[len(all)/2], P99: all[len(all)*99/100],
	}, nil
}

// sender is one connection.
type sender struct {
	request   []byte
	ids       []int // where the counting digits of each event start
	next      int64
	latencies []time.Duration
}

func newSender(index, batch int) *sender {
	var body bytes.Buffer
	if batch > 1 {
		body.WriteByte('[')
	}
	for i := range batch {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, event, index*batch+i)
	}
	if batch > 1 {
		body.WriteByte(']')
	}
	head := "POST /v1/webhooks/bench HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("bench:bench")) + "\r\n" +
		"Content-Length: " + strconv.Itoa(body.Len()) + "\r\n\r\n"
	s := &sender{request: append([]byte(head), body.Bytes()...), next: int64(index) * 1e8}
	mark := []byte(`"MessageID":57646076`)
	for at := 0; ; {
		i := bytes.Index(s.request[at:], mark)
		if i < 0 {
			return s
		}
		at += i + len(mark)
		s.ids = append(s.ids, at)
	}
}

// number gives every event of the request a different MessageID.
func (s *sender) number() {
	for _, at := range s.ids {
		n := s.next
		s.next++
		for i := messageIDDigits - 1; i >= 0; i-- {
			s.request[at+i] = byte('0' + n%10)
			n /= 10
		}
	}
}

func (s *sender) run(addr string, end time.Time) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for len(s.latencies) < latenciesMax {
		began := time.Now()
		if len(s.latencies) > 0 && began.After(end) { // once even where the machine leaves no time
			return nil
		}
		s.number()
		if err := conn.SetDeadline(began.Add(stallMax)); err != nil {
			return err
		}
		if _, err := conn.Write(s.request); err != nil {
			return err
		}
		if err := readAnswer(in); err != nil {
			return err
		}
		s.latencies = append(s.latencies, time.Since(began))
	}
	return nil
}

var statusOK = []byte("HTTP/1.1 200 ")

// readAnswer reads one answer and insists on 200.
func readAnswer(in *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if first && !bytes.HasPrefix(line, statusOK) {
			return fmt.Errorf("the answer is %q, want 200", bytes.TrimSpace(line))
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return fmt.Errorf("read answer: %w", err)
			}
		}
		if len(line) == len("\r\n") {
			break
		}
	}
	if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
