package ses

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// SNS is what a source of Amazon SNS has to say: whose messages are taken.
type SNS struct {
	// TopicArns are the topics whose messages are taken and whose subscriptions
	// are confirmed. Everybody can have a topic that Amazon signs for, so without
	// a list nothing would be proven. At most 100. Required.
	TopicArns []string `yaml:"topic_arns"`
	// Certificates are PEM certificates to check signatures with instead of those
	// that the messages name. Production leaves them out: Amazon changes its own.
	// Default none.
	Certificates []string `yaml:"certificates,omitempty"`
	// RefuseVersion1 takes only SHA-256; then the topics need SignatureVersion 2.
	// Default false.
	RefuseVersion1 bool `yaml:"refuse_version_1,omitempty"`
}

// SNSField is the name of SNS in webhookverify.Settings and in a source's `auth`.
const SNSField = "sns"

// topicsMax bounds the topics of one source.
const topicsMax = 100

// topicARN has the region as its first group.
var topicARN = regexp.MustCompile(`^arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]{3,32}):[0-9]{12}:[A-Za-z0-9_.-]{1,256}$`)

// certificatePath is what Amazon's certificates are called: by a hash, 32 digits so
// far, or by nothing. Nothing is asked for under another name.
var certificatePath = regexp.MustCompile(`^/SimpleNotificationService(?:-[0-9a-f]{16,64})?\.pem$`)

// scheme is how Amazon SNS signs: RSA over the fields of the message.
func scheme() *webhookverify.Scheme {
	return &webhookverify.Scheme{Fields: []string{SNSField}, Build: newVerifier}
}

// verifier checks messages of Amazon SNS and answers its handshakes.
type verifier struct {
	hosts        map[string]string // by topic: the only host that anything is fetched from
	refuse1      bool
	pinned       []pinned // empty: fetched
	certificates *certificates
	fetch        *webhookverify.Fetcher
	opt          webhookverify.Options
}

func newVerifier(b *webhookverify.Builder) webhookverify.Verifier {
	own, _ := b.Own[SNSField].(*SNS)
	b.Check(own != nil && len(own.TopicArns) > 0, "sns.topic_arns", "is missing: name the topics whose messages are taken")
	if own == nil {
		return nil
	}
	b.Check(len(own.TopicArns) <= topicsMax, "sns.topic_arns", "%d of them, want at most %d", len(own.TopicArns), topicsMax)
	v := &verifier{
		hosts: map[string]string{}, refuse1: own.RefuseVersion1, fetch: webhookverify.NewFetcher(b.Client),
		opt: b.Options,
	}
	v.certificates = newCertificates(v.fetch, b.Clock, own.TopicArns)
	for i, arn := range own.TopicArns {
		match := topicARN.FindStringSubmatch(arn)
		b.Check(match != nil, fmt.Sprintf("sns.topic_arns[%d]", i), "%q is not the ARN of an SNS topic", arn)
		if match != nil {
			v.hosts[arn] = snsHost(match[1])
		}
	}
	for i, text := range own.Certificates {
		cert, err := parseCertificate([]byte(text))
		b.Check(err == nil, fmt.Sprintf("sns.certificates[%d]", i), "is not a PEM certificate with an RSA key")
		v.pinned = append(v.pinned, cert)
	}
	return v
}

// snsHost returns Amazon's host of a region.
func snsHost(region string) string {
	host := "sns." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	return host
}

// Verify decides, cheapest first: nothing is fetched for a topic that is not on
// the list or from a host that is not the topic's.
func (v *verifier) Verify(ctx context.Context, r *webhookverify.Request) webhookverify.Verdict {
	m, ok := v.message(r.Body)
	switch {
	case !ok:
		return webhookverify.Unreadable
	case m.Signature == "" && m.Type == "" && bare(r.Body):
		return webhookverify.Unwrapped
	case m.Signature == "":
		return webhookverify.NoSignature
	case m.Type != webhookverify.HeaderOnce(r.Header, TypeHeader):
		return webhookverify.BadSignature
	}
	host, ok := v.hosts[m.TopicArn]
	if !ok {
		return webhookverify.UnknownTopic
	}
	switch m.Type {
	case Notification, subscribe, unsubscribe:
	default:
		return webhookverify.BadSignature
	}
	if decided := v.signed(ctx, m, host, r); decided != webhookverify.Genuine {
		return decided
	}
	switch m.Type {
	case subscribe:
		return v.confirm(ctx, m, host, r)
	case unsubscribe:
		// The URL in it would resubscribe, against the operator's wish.
		v.opt.Log.Warn("sns topic was unsubscribed", telemetry.Source(v.opt.Source), telemetry.Name(m.TopicArn))
		return webhookverify.Settled
	default:
		return webhookverify.Genuine
	}
}

// bare says that body is a record of SES itself, as SNS posts it where raw message
// delivery is on.
func bare(body []byte) bool {
	f, ok := webhookverify.MembersOf(body, "eventType", "notificationType")
	return ok && (f[0].Text != "" || f[1].Text != "")
}

// message reads the fields that are signed or say how.
func (v *verifier) message(body []byte) (*Message, bool) {
	f, ok := webhookverify.MembersOf(body, "Type", "MessageId", "Token", "TopicArn", "Subject", "Message",
		"SubscribeURL", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL")
	if !ok {
		return nil, false
	}
	return &Message{
		Type: f[0].Text, MessageID: f[1].Text, Token: f[2].Text, TopicArn: f[3].Text, Subject: f[4].Text, Message: f[5].Text,
		SubscribeURL: f[6].Text, Timestamp: f[7].Text, SignatureVersion: f[8].Text, Signature: f[9].Text, SigningCertURL: f[10].Text,
	}, true
}

// signed checks the signature of a message of an allowed topic.
func (v *verifier) signed(ctx context.Context, m *Message, host string, r *webhookverify.Request) webhookverify.Verdict {
	algorithm := crypto.SHA256
	switch {
	case m.SignatureVersion == "1" && !v.refuse1:
		algorithm = crypto.SHA1
	case m.SignatureVersion != "2":
		return webhookverify.BadSignature
	}
	given, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		return webhookverify.BadSignature
	}
	keys, decided := v.keys(ctx, m, host, r)
	if decided != webhookverify.Genuine {
		return decided
	}
	h := algorithm.New()
	h.Write(m.content())
	return webhookverify.VerdictOf(webhookverify.AnyRSA(keys, algorithm, h.Sum(nil), given))
}

// keys returns what may have signed a message.
func (v *verifier) keys(ctx context.Context, m *Message, host string, r *webhookverify.Request) ([]*rsa.PublicKey, webhookverify.Verdict) {
	now := v.opt.Clock()
	if len(v.pinned) > 0 {
		var keys []*rsa.PublicKey
		for _, p := range v.pinned {
			if p.valid(now) {
				keys = append(keys, p.key)
			}
		}
		return keys, webhookverify.Genuine
	}
	u, ok := amazonURL(m.SigningCertURL, host)
	if !ok || u.RawQuery != "" || u.Fragment != "" || !certificatePath.MatchString(u.EscapedPath()) {
		return nil, webhookverify.UnknownKey
	}
	cert, err := v.certificates.get(ctx, u.String(), m.TopicArn, r)
	switch {
	case err != nil:
		return nil, webhookverify.Unsure
	case !cert.valid(now):
		return nil, webhookverify.UnknownKey
	}
	return []*rsa.PublicKey{cert.key}, webhookverify.Genuine
}

// amazonURL reads a URL that must be https at host and nowhere else.
func amazonURL(text, host string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host != host || u.User != nil || u.Opaque != "" {
		return nil, false
	}
	return u, true
}

// confirm visits the URL that subscribes us to a topic we want.
func (v *verifier) confirm(ctx context.Context, m *Message, host string, r *webhookverify.Request) webhookverify.Verdict {
	u, ok := amazonURL(m.SubscribeURL, host)
	if !ok || u.Path != "" && u.Path != "/" {
		return webhookverify.BadSignature
	}
	q := u.Query()
	want := [][2]string{{"Action", "ConfirmSubscription"}, {"TopicArn", m.TopicArn}, {"Token", m.Token}}
	for _, w := range want {
		if !slices.Equal(q[w[0]], []string{w[1]}) {
			return webhookverify.BadSignature
		}
	}
	about := []zap.Field{telemetry.Source(v.opt.Source), telemetry.Name(m.TopicArn)}
	r.Await()
	if _, err := v.fetch.Get(ctx, u.String()); err != nil {
		v.opt.Log.Warn("sns subscription was not confirmed", append(about, telemetry.Err(err))...)
		return webhookverify.Unsure
	}
	v.opt.Log.Info("sns subscription confirmed", about...)
	return webhookverify.Settled
}
