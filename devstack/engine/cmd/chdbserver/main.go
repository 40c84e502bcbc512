// Command chdbserver is ClickHouse on a laptop: the HTTP interface on
// 127.0.0.1:8123, the tables in the folder chdb-data, unless its flags say
// otherwise. It is the shortest program that uses the package engine; see its
// README.md.
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"github.com/mailstream/mailstream/devstack/engine"
)

func main() {
	if engine.IsChild(os.Args) {
		os.Exit(engine.ChildMain())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	config := engine.Default()
	flag.StringVar(&config.Listen, "listen", config.Listen, "`host:port` of the HTTP interface")
	flag.StringVar(&config.DataDir, "data-dir", "chdb-data", "`folder` of the tables")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unknown argument %q", flag.Arg(0))
	}
	e, err := engine.New(config, slog.Default())
	if err == nil {
		err = e.Run(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
}
