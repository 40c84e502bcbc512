package verifytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/servicetest"
)

// World is everything outside: one TLS server that answers for every host, and
// notes what it was asked for.
type World struct {
	// Client reaches the server whatever host it asks for.
	Client *http.Client

	mu      sync.Mutex
	asked   []string
	answers map[string]func(http.ResponseWriter) // by host and path; 404 for others
}

// NewWorld starts a World that ends with the test.
func NewWorld(tb testing.TB) *World {
	tb.Helper()
	w := &World{answers: map[string]func(http.ResponseWriter){}}
	srv := httptest.NewUnstartedServer(w)
	trusted := x509.NewCertPool()
	srv.TLS = &tls.Config{GetCertificate: forAnyHost(tb, trusted)}
	srv.StartTLS()
	tb.Cleanup(srv.Close)
	w.Client = &http.Client{Timeout: servicetest.Patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		},
	}}
	return w
}

// forAnyHost makes certificates of an authority that it adds to trusted.
func forAnyHost(tb testing.TB, trusted *x509.CertPool) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "world"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	if root, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	trusted.AddCert(root)
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		t := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{hello.ServerName}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, t, root, &key.PublicKey, key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	}
}

// ServeHTTP answers for every host.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	at := r.Host + r.URL.Path
	w.mu.Lock()
	w.asked = append(w.asked, r.Method+" "+r.Host+r.URL.RequestURI())
	answer := w.answers[at]
	w.mu.Unlock()
	if answer == nil {
		http.NotFound(rw, r)
		return
	}
	answer(rw)
}

// Answer sets what a GET of a host and path gets.
func (w *World) Answer(at string, f func(http.ResponseWriter)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[at] = f
}

// Text is Answer with a body.
func (w *World) Text(at, body string) {
	w.Answer(at, func(rw http.ResponseWriter) { fmt.Fprint(rw, body) })
}

// Asked returns what was asked for since the last call.
func (w *World) Asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}
