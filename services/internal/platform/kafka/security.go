package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// securityOptions turns the sections tls and sasl into options. It reads the
// files named there.
func securityOptions(cfg Config) ([]kgo.Opt, error) {
	var opts []kgo.Opt
	if cfg.TLS.Enabled {
		tlsCfg, err := cfg.TLS.files().Load("kafka.tls")
		if err != nil {
			return nil, err
		}
		// DialTLSConfig sets the server name from the dialled host when it is empty.
		opts = append(opts, kgo.DialTLSConfig(tlsCfg))
	}
	if cfg.Dial != nil {
		opts = append(opts, kgo.Dialer(cfg.Dial))
	}
	if m, err := mechanism(cfg.SASL); err != nil {
		return nil, err
	} else if m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

func mechanism(s SASL) (sasl.Mechanism, error) {
	password := s.Password.Reveal()
	switch s.Mechanism {
	case "":
		return nil, nil // no mechanism is a valid choice
	case SASLPlain:
		return plain.Auth{User: s.Username, Pass: password}.AsMechanism(), nil
	case SASLScramSHA256:
		return scram.Auth{User: s.Username, Pass: password}.AsSha256Mechanism(), nil
	case SASLScramSHA512:
		return scram.Auth{User: s.Username, Pass: password}.AsSha512Mechanism(), nil
	default:
		return nil, fmt.Errorf("configure sasl: mechanism %q is unknown", s.Mechanism)
	}
}
