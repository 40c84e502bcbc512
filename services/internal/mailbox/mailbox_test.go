package mailbox

import "testing"

func TestProvider_KnowsConsumerDomainsOnly(t *testing.T) {
	t.Parallel()
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{
		"gmail.com": "google", "googlemail.com": "google",
		"hotmail.com": "microsoft", "hotmail.co.uk": "microsoft", "live.fr": "microsoft", "outlook.com.br": "microsoft",
		"yahoo.com": "yahoo", "yahoo.co.jp": "yahoo.co.jp", "yahoo.de": "yahoo", "aol.com": "yahoo", "verizon.net": "yahoo",
		"icloud.com": "apple", "me.com": "apple", "gmx.de": "gmx", "gmx.fr": "gmx", "web.de": "web.de",
		"comcast.net": "comcast", "orange.fr": "orange", "wanadoo.fr": "orange", "libero.it": "libero",
		"mail.ru": "mail.ru", "yandex.ru": "yandex", "yandex.by": "yandex", "proton.me": "proton", "pm.me": "proton",
		"aol.de": "yahoo", "aol.co.uk": "yahoo", "att.net": "yahoo", "laposte.net": "laposte", "free.fr": "free", "sfr.fr": "sfr",
		"seznam.cz": "seznam", "wp.pl": "wp", "o2.pl": "wp", "onet.pl": "onet", "163.com": "netease", "126.com": "netease",
		"virgilio.it": "virgilio", "alice.it": "tim", "tampabay.rr.com": "charter", "gmx.info": "gmx", "mac.com": "apple",
		"qq.com": "qq", "naver.com": "naver", "t-online.de": "t-online",
		"example.com": "", "": "", "com": "", "live.example.com": "", "outlook.company": "", "notgmail.com": "",
		"mail.gmail.com": "", "yahoo.evil.co": "",
	} {
		if got := table.Provider(domain); got != want {
			t.Errorf("Provider(%q) = %q, want %q", domain, got, want)
		}
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"google": true, "yahoo": true, "netease": true, "gmail": false, "gmail.com": false, "Google": false, "": false} {
		if got := table.Known(name); got != want {
			t.Errorf("Known(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestProvider_CoversTheLargest(t *testing.T) {
	t.Parallel()
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, provider := range table.domains {
		names[provider] = true
	}
	if len(names) < 20 {
		t.Errorf("%d mailbox providers, want at least 20", len(names))
	}
	for family, provider := range table.families {
		if !names[provider] {
			t.Errorf("family %q belongs to %q, which has no domain", family, provider)
		}
	}
}
