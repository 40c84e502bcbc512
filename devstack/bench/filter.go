package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/client/suppressions"
)

// filterAddresses is the send that is filtered.
const filterAddresses = 1_000_000

// filter asks about a send with the client of senders, over one connection, and returns
// addresses a second.
func (o CheckOptions) filter(ctx context.Context, name, addr string) (float64, error) {
	client, err := suppressions.New(suppressions.Config{URL: "http://" + addr, Token: checkToken})
	if err != nil {
		return 0, err
	}
	send := min(filterAddresses, 10*o.Entries)
	ask := make([]string, send) // a sender has them
	every := 100 / max(o.ListedPercent, 1)
	for i := range ask {
		n := i % o.Entries
		if i%every != 0 {
			n += o.Entries
		}
		ask[i] = checkAddress(n)
	}
	began, used, suppressed := time.Now(), processorTime(), 0
	for v, err := range client.Stream(ctx, suppressions.Mail{Stream: "marketing"}, func(yield func(string) bool) {
		for _, a := range ask {
			if !yield(a) {
				return
			}
		}
	}) {
		if err != nil {
			return 0, fmt.Errorf("measure %s: %w", name, err)
		}
		if v.Suppressed {
			suppressed++
		}
	}
	rate := float64(send) / time.Since(began).Seconds()
	if want := (send + every - 1) / every; suppressed != want {
		return 0, fmt.Errorf("measure %s: %d are suppressed, want %d", name, suppressed, want)
	}
	o.Progress(fmt.Sprintf("%-26s %27.0f addresses/s  processor %8s an address", name, rate, (processorTime()-used)/time.Duration(send)))
	return rate, nil
}

// streamFromMap answers a stream as simply as one can: a map behind the same protocol.
func streamFromMap(w http.ResponseWriter, r *http.Request, known map[string]struct{}) {
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1 has it
	lines, out := bufio.NewReaderSize(r.Body, 64<<10), bufio.NewWriterSize(w, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			_ = out.Flush() // as below
			return
		}
		address := strings.TrimSuffix(strings.TrimPrefix(line, `{"address":"`), "\"}\n")
		_, listed := known[address]
		fmt.Fprintf(out, "{\"address\":%q,\"suppressed\":%t}\n", address, listed)
		if lines.Buffered() == 0 {
			_ = out.Flush()                           // an error means that the client has gone
			_ = http.NewResponseController(w).Flush() // as above
		}
	}
}
