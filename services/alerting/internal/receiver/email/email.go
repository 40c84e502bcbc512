// Package email sends messages over SMTP with TLS. It uses wneessen/go-mail, which is
// kept and knows the ways to log in; net/smtp of the standard library is frozen.
//
// It does not retry by itself: the outbox does, by the fate of the error.
package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/httppost"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// Config is a mail server and who gets mail through it.
type Config struct {
	// Host is the server, best one that does not send the mail we watch. Required.
	Host string `yaml:"host"`
	// Port is where it listens for submissions; left out with tls: implicit, it is 465.
	// Default 587. Range [1, 65535].
	Port int `yaml:"port"`
	// TLS is starttls, which must succeed (RFC 3207), implicit, from the first byte (RFC
	// 8314), or none, for a server on this host that wants no login. Default starttls.
	TLS string `yaml:"tls"`
	// CAFile has the authorities to trust, PEM. Default "": those of the system.
	CAFile string `yaml:"ca_file"`
	// Username and Password log in. Default "": no login.
	Username string `yaml:"username"`
	// Password goes with Username. Default none.
	Password config.Secret `yaml:"password"`
	// From is the sender's address. Required.
	From string `yaml:"from"`
	// To are 1 to 20 addresses; one that the server refuses holds back the message for
	// all. Required.
	To []string `yaml:"to"`
}

// The words for TLS.
const (
	startTLS = "starttls"
	implicit = "implicit"
	noTLS    = "none"
)

const (
	portStartTLS, portImplicit, portMax = 587, 465, 65_535

	toMax = 20
	// timeout bounds one attempt: a server may greylist or scan for some seconds.
	timeout = 30 * time.Second
	// pace keeps a flood below what a mail server takes from one client.
	pace = 2 * time.Second
	// digestMin and digestMax are those of other receivers that people read.
	digestMin, digestMax = 8, 500
	// subjectMax keeps a subject readable in a list, in runes.
	subjectMax = 150
)

// WithDefaults returns c with what was left out.
func (c Config) WithDefaults() Config {
	c.TLS = cmp.Or(c.TLS, startTLS)
	if c.Port == 0 {
		c.Port = portStartTLS
		if c.TLS == implicit {
			c.Port = portImplicit
		}
	}
	return c
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	p.Check(c.Port != 0 || !p.Written("port"), "port", "0 is not in [1, %d]", portMax)
	c = c.WithDefaults()
	p.Check(c.Host != "" && !strings.ContainsAny(c.Host, "/: \t"), "host", "%q is not the name of a server", c.Host)
	p.Check(c.Port >= 1 && c.Port <= portMax, "port", "%d is not in [1, %d]", c.Port, portMax)
	p.Check(slices.Contains([]string{startTLS, implicit, noTLS}, c.TLS), "tls", "%q is not one of starttls, implicit, none", c.TLS)
	p.Check(c.TLS != noTLS || c.Host == "localhost" || net.ParseIP(c.Host).IsLoopback(), "tls", "none is for a server on this host only")
	p.Check(c.TLS != noTLS || c.Username == "", "username", "a password is not sent without TLS")
	p.Check((c.Username == "") == !c.Password.IsSet(), "password", "username and password go together")
	p.Check(isAddress(c.From), "from", "%q is not an address", c.From)
	p.Check(len(c.To) >= 1 && len(c.To) <= toMax, "to", "%d of them, want 1 to %d", len(c.To), toMax)
	for i, to := range c.To {
		p.Check(isAddress(to), fmt.Sprintf("to[%d]", i), "%q is not an address", to)
	}
	_, err := config.TLSFiles{CA: c.CAFile, ServerName: c.Host}.Load("email")
	p.Check(err == nil, "ca_file", "%v", err)
}

func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// Client sends through one server.
type Client struct {
	cfg     Config
	words   wording.Writer
	now     func() time.Time
	timeout time.Duration // of one attempt
}

// New returns a client for the server of a valid configuration.
func New(cfg Config, links wording.Links) *Client {
	return &Client{cfg: cfg.WithDefaults(), words: wording.Writer{Markup: wording.Text{}, Links: links}, now: time.Now, timeout: timeout}
}

// Terms keeps the pace that a mail server takes.
func (*Client) Terms() outbox.Terms {
	return outbox.Terms{Pace: pace, DigestMin: digestMin, DigestMax: digestMax}
}

// Deliver sends one mail about the notices.
func (c *Client) Deliver(ctx context.Context, notices []outbox.Notice) error {
	m, err := c.compose(notices)
	if err != nil {
		return fault(fate.DeadLetter, "bad_message")
	}
	client, err := c.client()
	if err != nil {
		return fault(fate.Halt, "bad_configuration")
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return refusedLogin(err)
	}
	err = client.SendWithSMTPClient(session, m)
	_ = client.CloseWithSMTPClient(session) // the mail is taken or not by now
	return refusedMail(err)
}

func (c *Client) client() (*gomail.Client, error) {
	secure, err := config.TLSFiles{CA: c.cfg.CAFile, ServerName: c.cfg.Host}.Load("email")
	if err != nil {
		return nil, err
	}
	opts := []gomail.Option{gomail.WithPort(c.cfg.Port), gomail.WithTimeout(c.timeout), gomail.WithTLSConfig(secure), gomail.WithoutNoop()}
	switch c.cfg.TLS {
	case implicit:
		opts = append(opts, gomail.WithSSL())
	case noTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if c.cfg.Username != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(c.cfg.Username), gomail.WithPassword(c.cfg.Password.Reveal()))
	}
	return gomail.NewClient(c.cfg.Host, opts...)
}

// compose writes the mail. Mails of one incident are a thread: they refer to its
// name.
func (c *Client) compose(notices []outbox.Notice) (*gomail.Msg, error) {
	said := c.words.Of(notices)
	n := &notices[0]
	domain := c.cfg.From[strings.LastIndexByte(c.cfg.From, '@')+1:]
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := m.From(c.cfg.From); err != nil {
		return nil, fmt.Errorf("set sender: %w", err)
	}
	if err := m.To(c.cfg.To...); err != nil {
		return nil, fmt.Errorf("set recipients: %w", err)
	}
	m.Subject(wording.Cut(wording.Clean(prefix(said)+said.Title), subjectMax))
	m.SetDateWithValue(c.now())
	m.SetMessageIDWithValue(fmt.Sprintf("%s.%d.%s@%s", n.Facts.Incident, n.Seq, n.Alert.Fingerprint, domain))
	if len(notices) == 1 {
		thread := "<" + n.Facts.Incident + "@" + domain + ">"
		m.SetGenHeader(gomail.HeaderInReplyTo, thread)
		m.SetGenHeader(gomail.HeaderReferences, thread)
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no automatic reply
	m.SetBodyString(gomail.TypeTextPlain, text(said))
	return m, nil
}

func prefix(m wording.Message) string {
	if m.Kind == schemas.NotifyResolved {
		return "[resolved] "
	}
	return "[" + string(m.Severity) + "] "
}

// text is the message in plain lines.
func text(m wording.Message) string {
	var b strings.Builder
	b.WriteString(m.Title + "\n\n")
	for _, f := range m.Facts {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	for _, s := range m.Sections {
		b.WriteString("\n")
		if s.Title != "" {
			b.WriteString(s.Title + ":\n")
		}
		b.WriteString(strings.Join(s.Lines, "\n") + "\n")
	}
	b.WriteString("\n")
	for _, l := range m.Links {
		b.WriteString(l.Name + ": " + l.URL + "\n")
	}
	b.WriteString(m.Footer + "\n")
	return b.String()
}

// fault is an error without the server's words, in which addresses may be.
func fault(f fate.Fate, reason string) error {
	return fate.Wrap(f, &outbox.Fault{Reason: reason, Err: errors.New("send mail: " + reason)})
}

// refusedLogin reads an error from before the mail: of the connection, of TLS or of
// the login.
func refusedLogin(err error) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		switch {
		case reply.Code == codeLoginRefused || reply.Code == codeWeakLogin || reply.Code == codeNeedsTLS:
			return fault(fate.Halt, "login_refused")
		case reply.Code >= codePermanent:
			return fault(fate.Halt, "status_"+strconv.Itoa(reply.Code))
		default:
			return fault(fate.Retry, "status_"+strconv.Itoa(reply.Code))
		}
	}
	if broken(err) {
		return fault(fate.Retry, httppost.Broken(err))
	}
	// What is left: the server offers no STARTTLS, or no login that we know.
	return fault(fate.Halt, "no_tls_or_login")
}

// The replies that mean more than their first digit (RFC 4954, section 6).
const (
	codePermanent    = 500
	codeNeedsTLS     = 530
	codeWeakLogin    = 534
	codeLoginRefused = 535
)

// broken says whether the connection failed, and nothing was refused.
func broken(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// refusedMail reads an error of the mail itself.
func refusedMail(err error) error {
	if err == nil {
		return nil
	}
	refused, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return fault(fate.Retry, "connection")
	}
	switch permanent := refused.ErrorCode() >= codePermanent; {
	case !permanent && refused.ErrorCode() == 0:
		return fault(fate.Retry, "connection")
	case !permanent:
		return fault(fate.Retry, "status_"+strconv.Itoa(refused.ErrorCode()))
	case refused.Reason == gomail.ErrSMTPMailFrom:
		return fault(fate.Halt, "sender_refused")
	case refused.Reason == gomail.ErrSMTPRcptTo:
		return fault(fate.Halt, "recipient_refused")
	default:
		return fault(fate.DeadLetter, "message_refused")
	}
}
