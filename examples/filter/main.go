// Command filter leaves out of a send who must not be mailed: it reads addresses, a line
// each, asks Mailstream about them over one connection, and writes those that may be
// mailed. What is not one address, and who must not be mailed and why, goes to standard
// error with --verbose; the sums always do.
//
//	MAILSTREAM_SUPPRESSION_TOKEN=dev go run ./filter --stream marketing < addresses.txt > may-be-mailed.txt
//
// When the service cannot be asked it stops and says so: part of a send is better than
// mail to somebody who complained.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mailstream/mailstream/client/suppressions"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it, even while it waits for a line
	p := program{in: os.Stdin, out: os.Stdout, errors: os.Stderr, token: os.Getenv("MAILSTREAM_SUPPRESSION_TOKEN")}
	if err := p.run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "filter:", err)
		os.Exit(1)
	}
}

// program is what a run works on.
type program struct {
	in          io.Reader
	out, errors io.Writer
	token       string
	sum         struct{ allowed, suppressed, faults int }
}

func (p *program) run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("filter", flag.ContinueOnError)
	url := flags.String("url", "http://127.0.0.1:8082", "base `URL` of the suppression service")
	stream := flags.String("stream", "", "`name` of the stream that the mail belongs to")
	list := flags.String("list", "", "`id` of the mailing list")
	verbose := flags.Bool("verbose", false, "say of each address that is left out why")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := suppressions.New(suppressions.Config{URL: *url, Token: p.token})
	if err != nil {
		return err
	}
	began, lines, out := time.Now(), bufio.NewScanner(p.in), bufio.NewWriter(p.out)
	addresses := func(yield func(string) bool) {
		for lines.Scan() && yield(lines.Text()) {
		}
	}
	for v, err := range client.Stream(ctx, suppressions.Mail{Stream: *stream, List: *list}, addresses) {
		if err != nil {
			return fmt.Errorf("after %d addresses: %w", p.sum.allowed+p.sum.suppressed+p.sum.faults, err)
		}
		p.take(v, out, *verbose)
	}
	if err := lines.Err(); err != nil { // the loop is over, so nobody reads any more
		return fmt.Errorf("read addresses: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	_, err = fmt.Fprintf(p.errors, "%d may be mailed, %d must not, %d are not addresses; %s\n",
		p.sum.allowed, p.sum.suppressed, p.sum.faults, time.Since(began).Round(time.Millisecond))
	return err
}

func (p *program) take(v suppressions.Verdict, out *bufio.Writer, verbose bool) {
	switch {
	case !v.Suppressed:
		p.sum.allowed++
		_, _ = out.WriteString(v.Address + "\n") // its fault comes with Flush
		return
	case v.Fault != "":
		p.sum.faults++
	default:
		p.sum.suppressed++
	}
	if verbose {
		fmt.Fprintf(p.errors, "%s: %s%s %s\n", v.Address, v.Fault, v.Reason, v.Scope)
	}
}
