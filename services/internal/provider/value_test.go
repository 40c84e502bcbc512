package provider

import "testing"

func TestIP_HasOneSpelling(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "::FFFF:c000:201": "192.0.2.1",
		"2001:DB8:0:0::1": "2001:db8::1", "2001:db8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1",
		"192.0.2.01": "", "192.0.2.1:25": "", "[2001:db8::1]": "", "mail.example.com": "", " 192.0.2.1": "",
	} {
		if got := IP(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
