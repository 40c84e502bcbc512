package webhookverify

import "strings"

// The schemes that are here, as the samples name them.
const (
	schemeStandard   = "standard"
	schemeHex        = "hex"
	schemeConfigured = "configured"
)

// SchemeOf returns the scheme of a sample; nil signs nothing.
func SchemeOf(name string) *Scheme {
	return map[string]*Scheme{schemeStandard: StandardWebhooks(), schemeHex: Hex("X-Signature"), schemeConfigured: Configured()}[name]
}

// Sample is verifytest.Sample, which this package cannot import, with the name of its
// scheme.
type Sample struct {
	Name, Scheme string
	Settings     Settings
	Now          int64
	Request      *Request
	Header       string
	WrongKey     string
}

const (
	standardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	standardPublic = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	standardV1     = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	standardV1a    = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
	otherPublic    = "whpk_ebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ="
	otherV1a       = "v1a,OVJuLC0iOuaBuQulpz9A/zDgvqV8z8miLUJk2j15ZMONwDNhOvPJ3rO4owAHFyjFq80+pUUjrNfTHAZs1RQnDw=="
	otherSecret    = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

	hubspotSecret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
	hubspotBody   = `[{"eventId":100,"subscriptionId":7,"portalId":62515,"appId":54321,"occurredAt":1772615730123,"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":501,"propertyName":"hs_email_optout","propertyValue":"true","changeSource":"CRM"}]`
)

// standardRequest is the published vector, by any of the two sets of names.
func standardRequest(prefix, signature string) *Request {
	return request(`{"test": 2432232314}`, prefix+"id: msg_p5jXN8AQM9LWM0D4loKWxJek", prefix+"timestamp: 1614265330", prefix+"signature: "+signature)
}

// Samples are those of the schemes that are here.
func Samples() []Sample {
	list := []Sample{
		{"standard webhooks by svix names", schemeStandard, Settings{Keys: []string{standardSecret}}, 1614265330, standardRequest("svix-", standardV1), "svix-signature", otherSecret},
		{"standard webhooks by its own names", schemeStandard, Settings{Keys: []string{standardSecret}}, 1614265330, standardRequest("webhook-", standardV1), "webhook-signature", otherSecret},
		{"standard webhooks v1a", schemeStandard, Settings{Keys: []string{standardPublic}}, 1614265330, standardRequest("webhook-", standardV1a), "webhook-signature", otherPublic},
		{"standard webhooks v1a of a seed", schemeStandard, Settings{Keys: []string{otherPublic}}, 1614265330, standardRequest("svix-", otherV1a), "svix-signature", standardPublic},
		{"standard webhooks of a provider", schemeStandard, Settings{Keys: []string{otherSecret}}, 1772615730, request(`{"type":"email.delivered","created_at":"2026-03-04T09:15:30.123Z","data":{"email_id":"0c3a1f52-0a51-4d7e-9a55-2f6f1f2d1b11"}}`,
			"svix-id: msg_2abcDEF", "svix-timestamp: 1772615730", "svix-signature: v1,nUiSATfSN+HziJ0NKZPGJMXHgcG5MQkK+cr4yFuDAUw="), "svix-signature", standardSecret},
		{"hex", schemeHex, Settings{Keys: []string{"ms_test_signing_secret"}}, 0,
			request(`{"type":"activity.delivered","created_at":"2026-03-04T09:15:30.000000Z","data":{"id":"65f0c0ffee0123456789abcd"}}`,
				"X-Signature: e25eb22fe14b0924cae5661d0ecb20ad835257b6660c6da2be830063eeedcef0"), "X-Signature", "other"},
	}
	return append(list, customSamples()...)
}

// customSamples are configured schemes.
func customSamples() []Sample {
	const companyBody = `{"event":"delivered","id":"evt_1"}`
	const hexMAC = "11c0491427b287cb6445dfd1270306bb008291bea08cdda409b35c08754e5100"
	company := func(name string, c Custom, value string) Sample {
		c.Header = "Company-Webhook-Signature"
		if c.Algorithm == "" {
			c.Algorithm = "hmac-sha256"
		}
		return Sample{name, schemeConfigured, Settings{Keys: []string{"topsecret"}, Custom: &c}, 1772615730,
			request(companyBody, "Company-Webhook-Signature: "+value), "Company-Webhook-Signature", "other"}
	}
	return []Sample{
		company("company, hex", Custom{}, hexMAC),
		company("company, HEX", Custom{}, strings.ToUpper(hexMAC)),
		company("company, prefix", Custom{Prefix: "sha256="}, "sha256="+hexMAC),
		company("company, base64", Custom{Encoding: "base64"}, "EcBJFCeyh8tkRd/RJwMGuwCCkb6gjN2kCbNcCHVOUQA="),
		company("company, base64url", Custom{Encoding: "base64"}, "EcBJFCeyh8tkRd_RJwMGuwCCkb6gjN2kCbNcCHVOUQA"),
		company("company, pairs", Custom{Param: "v1", TimestampParam: "t", Signed: "{timestamp}.{body}"},
			"t=1772615730,v1=91d2dde6a9ddc71db9080d9d8b98efc6095cac119299ca1814ba8dde9e43d5fc"),
		company("company, sha1", Custom{Algorithm: "hmac-sha1"}, "aaf8afad9f6046c6db46d7f70184a6d8d3174d15"),
		company("company, sha512", Custom{Algorithm: "hmac-sha512"},
			"68abb0d2f7a14d333e2cfa2fcf73b02cfcc57d19f2a20dcd7e970acd913ebb6e030c34774824bc3441aad1593763af7d2f56af85ff4cdac2f1c10c480e589f6e"),
		{"github", schemeConfigured, Settings{Keys: []string{"It's a Secret to Everybody"}, Custom: &Custom{Algorithm: "hmac-sha256", Header: "X-Hub-Signature-256", Prefix: "sha256="}}, 0,
			request("Hello, World!", "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"), "X-Hub-Signature-256", "other"},
		{"github, sha1", schemeConfigured, Settings{Keys: []string{"It's a Secret to Everybody"}, Custom: &Custom{Algorithm: "hmac-sha1", Header: "X-Hub-Signature", Prefix: "sha1="}}, 0,
			request("Hello, World!", "X-Hub-Signature: sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"), "X-Hub-Signature", "other"},
		{"hubspot v3", schemeConfigured, Settings{Keys: []string{hubspotSecret}, PublicURL: "https://hooks.example.com/hubspot?tenant=acme", Custom: &Custom{
			Algorithm: "hmac-sha256", Header: "X-HubSpot-Signature-v3", Encoding: "base64", Signed: "{method}{url}{body}{timestamp}",
			TimestampHeader: "X-HubSpot-Request-Timestamp", TimestampUnit: "ms",
		}}, 1772615731, request(hubspotBody, "X-HubSpot-Request-Timestamp: 1772615731000", "X-HubSpot-Signature-v3: 0qCyTcjFh6rw3TElivfIGzmF3uwwseN3WwKSu5//lkc="), "X-HubSpot-Signature-v3", "other"},
		{"configured standard webhooks", schemeConfigured, Settings{Keys: []string{standardSecret}, Custom: &Custom{Algorithm: "standard-webhooks"}}, 1614265330, standardRequest("webhook-", standardV1), "webhook-signature", otherSecret},
		{"configured whsec_ key", schemeConfigured, Settings{Keys: []string{standardSecret}, Custom: &Custom{
			Algorithm: "hmac-sha256", Header: "webhook-signature", Prefix: "v1,", Encoding: "base64", KeyEncoding: "base64",
			Signed: "{header:webhook-id}.{timestamp}.{body}", TimestampHeader: "webhook-timestamp",
		}}, 1614265330, standardRequest("webhook-", standardV1), "webhook-signature", otherSecret},
		{"configured ed25519", schemeConfigured, Settings{Keys: []string{standardPublic[5:]}, Custom: &Custom{
			Algorithm: "ed25519", Header: "webhook-signature", Prefix: "v1a,", Encoding: "base64", Signed: "{header:webhook-id}.{timestamp}.{body}", TimestampHeader: "webhook-timestamp",
		}}, 1614265330, standardRequest("webhook-", standardV1a), "webhook-signature", otherPublic[5:]},
	}
}
