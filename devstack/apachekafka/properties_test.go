package apachekafka

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFromEnvironment_TranslatesAsTheImageDoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  map[string]string
		want Properties
	}{
		{"one underscore is a dot", map[string]string{"KAFKA_LOG_RETENTION_HOURS": "336"}, Properties{"log.retention.hours": "336"}},
		{"two are an underscore", map[string]string{"KAFKA_A__B": "1"}, Properties{"a_b": "1"}},
		{"three are a dash", map[string]string{"KAFKA_A___B": "1"}, Properties{"a-b": "1"}},
		{"runs are read from the left", map[string]string{"KAFKA_A____B_____C": "1"}, Properties{"a-.b-_c": "1"}},
		{"lower case", map[string]string{"KAFKA_NODE_ID": "7"}, Properties{"node.id": "7"}},
		{"value stays as it is", map[string]string{"KAFKA_LISTENERS": "A_B://:1,C://h:2"}, Properties{"listeners": "A_B://:1,C://h:2"}},
		{"listener name in a setting", map[string]string{"KAFKA_LISTENER_NAME_SASL__SSL_X": "1"}, Properties{"listener.name.sasl_ssl.x": "1"}},
		{"launcher variables are not settings", map[string]string{
			"KAFKA_HEAP_OPTS": "-Xmx1g", "KAFKA_OPTS": "x", "KAFKA_VERSION": "4", "KAFKA_JMX_OPTS": "x",
			"KAFKA_JMX_HOSTNAME": "h", "KAFKA_JVM_PERFORMANCE_OPTS": "x", "KAFKA_GC_LOG_OPTS": "x",
			"KAFKA_LOG4J_OPTS": "x", "KAFKA_LOG4J_LOGGERS": "a=INFO", "KAFKA_LOG4J_ROOT_LOGLEVEL": "WARN",
			"KAFKA_TOOLS_LOG4J_LOGLEVEL": "WARN",
		}, Properties{}},
		{"others are not Kafka's", map[string]string{"CLUSTER_ID": "x", "PATH": "/bin", "kafka_a": "1"}, Properties{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, FromEnvironment(tt.env)); diff != "" {
				t.Errorf("properties (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProperties_PlaceMovesOnlyAddressesAndFolder(t *testing.T) {
	t.Parallel()
	p := Properties{
		"node.id":                    "1",
		"listeners":                  "INTERNAL://:19092, EXTERNAL://:9092,CONTROLLER://:9093",
		"advertised.listeners":       "INTERNAL://kafka:19092,EXTERNAL://127.0.0.1:9092",
		"controller.quorum.voters":   "1@kafka:9093",
		"controller.listener.names":  "CONTROLLER",
		"inter.broker.listener.name": "INTERNAL",
		"log.dirs":                   "/var/lib/kafka/data",
		"auto.create.topics.enable":  "false",
	}
	at := placement{ports: map[string]int{"INTERNAL": 1, "EXTERNAL": 2, "CONTROLLER": 3}, voters: "1@127.0.0.1:3", logDir: "/tmp/a b/log"}
	if err := p.place(at); err != nil {
		t.Fatal(err)
	}
	want := Properties{
		"node.id":                    "1",
		"listeners":                  "INTERNAL://127.0.0.1:1,EXTERNAL://127.0.0.1:2,CONTROLLER://127.0.0.1:3",
		"advertised.listeners":       "INTERNAL://127.0.0.1:1,EXTERNAL://127.0.0.1:2",
		"controller.quorum.voters":   "1@127.0.0.1:3",
		"controller.listener.names":  "CONTROLLER",
		"inter.broker.listener.name": "INTERNAL",
		"log.dirs":                   "/tmp/a b/log",
		"auto.create.topics.enable":  "false",
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
}

func TestProperties_PlaceNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		p    Properties
		want string
	}{
		{"no listeners", Properties{}, "listeners"},
		{"listener without scheme", Properties{"listeners": "9092"}, "NAME://host:port"},
		{"listener without port", Properties{"listeners": "X://:1"}, "place listener X"},
		{"no controller", Properties{"listeners": "A://:1"}, "controller.listener.names"},
		{"no listener for clients", Properties{"listeners": "A://:1", "controller.listener.names": "A"}, "inter.broker.listener.name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.p.place(placement{ports: map[string]int{"A": 1}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("place = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestProperties_StringIsWhatJavaReadsBack(t *testing.T) {
	t.Parallel()
	p := Properties{"b.c": "a=b:c#d", "a d:e": `C:\x`, "c": " lead", "d": "two\nlines"}
	want := `a\ d\:e=C:\\x` + "\n" + `b.c=a=b:c#d` + "\n" + `c=\ lead` + "\n" + `d=two\nlines` + "\n"
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}
