package apachekafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
)

// replicas is how a cluster keeps its records where one broker cannot: three
// copies, two of them written before a producer with acks=all hears of it.
var replicas = Properties{
	"default.replication.factor":                       "3",
	"min.insync.replicas":                              "2",
	"offsets.topic.replication.factor":                 "3",
	"transaction.state.log.replication.factor":         "3",
	"transaction.state.log.min.isr":                    "2",
	"share.coordinator.state.topic.replication.factor": "3",
	"share.coordinator.state.topic.min.isr":            "2",
}

// clusterNodes of a Cluster, the fewest that survive the loss of one.
const clusterNodes = 3

// Cluster is three brokers that replicate one another, for tests that kill one
// under load. It takes about 1 GB of memory.
type Cluster struct {
	brokers []*Broker
}

// StartCluster starts three brokers below o.DataDir and returns when all
// answer. The caller ends it with Stop; o.Address must be empty.
func StartCluster(ctx context.Context, o Options) (*Cluster, error) {
	if o.Address != "" {
		return nil, fmt.Errorf("start cluster: address %s given: %w", o.Address, ErrExternal)
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	overrides := maps.Clone(replicas)
	maps.Copy(overrides, o.Properties)
	o.Properties = overrides
	plan, err := newPlan(ctx, o)
	if err != nil {
		return nil, err
	}
	dirs := make([]string, clusterNodes)
	for i := range dirs {
		dirs[i] = filepath.Join(plan.dir, "node-"+strconv.Itoa(i+1))
	}
	brokers, err := plan.start(ctx, dirs)
	if err != nil {
		return nil, err
	}
	return &Cluster{brokers: brokers}, nil
}

// Addrs returns the addresses of all brokers, host:port with commas, as
// KAFKA_BROKERS has them.
func (c *Cluster) Addrs() string {
	addresses := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addresses[i] = b.Addr()
	}
	return strings.Join(addresses, ",")
}

// Broker returns the broker with node id `id`, 1 to 3, to kill and restart.
func (c *Cluster) Broker(id int) *Broker { return c.brokers[id-1] }

// Stop ends all brokers: in order but for the last one, which would wait in
// vain for a majority of controllers to let it go.
func (c *Cluster) Stop() error {
	var err error
	last := len(c.brokers) - 1
	for _, b := range c.brokers[:last] {
		err = errors.Join(err, b.Stop())
	}
	return errors.Join(err, c.brokers[last].Kill())
}
