package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLSFiles are the files of a TLS client, PEM, as a section of the configuration
// names them.
type TLSFiles struct {
	CA         string // authorities to trust instead of the system's; "" for those
	Cert, Key  string // our own certificate and its key; "" for none
	ServerName string // expected in the server's certificate; "" where the dialler sets it
}

// Validate reports to p when a certificate is without its key.
func (f TLSFiles) Validate(p *Problems) {
	p.Check((f.Cert == "") == (f.Key == ""), "cert_file", "cert_file and key_file go together")
}

// Load reads the files. Section is the name of theirs, for messages. Verification
// cannot be switched off.
func (f TLSFiles) Load(section string) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("read %s.ca_file: %w", section, err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read %s.ca_file %q: no PEM certificate in it", section, f.CA)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("read %s.cert_file and key_file: %w", section, err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
