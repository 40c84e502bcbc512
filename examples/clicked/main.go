// Command clicked is a consumer as another team writes it: it reads the topic
// email.clicked in its consumer group, with segmentio/kafka-go and the contract
// module, and prints a line a click.
//
//	go run ./clicked --brokers 127.0.0.1:9092
//
// It commits an offset after the line is printed, so a click is printed at
// least once. The event's id identifies repeats.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/mailstream/mailstream/schemas"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "clicked:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("clicked", flag.ContinueOnError)
	brokers := flags.String("brokers", "127.0.0.1:9092", "Kafka `host:port`, several with commas")
	group := flags.String("group", "example-clicked", "consumer `group`; each group gets every click")
	prefix := flags.String("prefix", schemas.DefaultTopicPrefix, "topic `prefix`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:     strings.Split(*brokers, ","),
		GroupID:     *group,
		Topic:       schemas.EventTopic(*prefix, schemas.Clicked),
		StartOffset: kafka.FirstOffset,             // a new group starts with all that is kept
		MaxWait:     500 * time.Millisecond,        // how long the broker waits for a fuller answer
		ErrorLogger: kafka.LoggerFunc(logToStderr), // the library retries
	})
	err := consume(ctx, reader, out)
	return errors.Join(err, reader.Close())
}

// consume prints clicks until ctx is done.
func consume(ctx context.Context, reader *kafka.Reader, out io.Writer) error {
	for {
		m, err := reader.FetchMessage(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fetch from %s: %w", reader.Config().Topic, err)
		}
		e, err := schemas.Decode(m.Value)
		if err != nil {
			// Not ours to repair: say where it is and go on.
			logToStderr("skip partition %d offset %d: %v", m.Partition, m.Offset, err)
		} else if _, err := fmt.Fprintln(out, line(&e)); err != nil {
			return fmt.Errorf("print click: %w", err)
		}
		if err := reader.CommitMessages(ctx, m); err != nil && ctx.Err() == nil {
			return fmt.Errorf("commit partition %d offset %d: %w", m.Partition, m.Offset, err)
		}
	}
}

// line is one click: when, which event, who (as a hash), where to.
func line(e *schemas.Event) string {
	return fmt.Sprintf("%s %s %s %s %s", e.Time.Format(time.RFC3339), e.ID, e.RecipientHash, e.Campaign, e.URL)
}

func logToStderr(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "clicked: "+format+"\n", args...)
}
