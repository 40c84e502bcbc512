package analyticstest

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// mail is one message of the cookbook with all that became of it, worked out without
// SQL.
type mail struct {
	number, person                                     int
	source, provider, domain, mailbox, campaign        string
	ip, sendingDomain                                  string
	sent                                               time.Time
	delivered, deferred, bounced, blocked              time.Time // zero: never
	opened, clicked, proxyOpened, complained, resigned time.Time
}

// cookbookStart is the Monday on which the first message went out.
func cookbookStart() time.Time { return time.Date(2026, 10, 5, 9, 0, 0, 0, time.UTC) }

// cookbookMail is what sql/cookbook.sql makes.
func cookbookMail() []mail {
	all := make([]mail, 28_000)
	for n := range all {
		all[n] = cookbookMessage(n)
	}
	return all
}

func cookbookMessage(n int) mail {
	day, i := n/1000, n%1000
	week := day / 7
	m := mail{
		number: n, person: i + 1000*(day%2) + 500*week,
		source: "acme", provider: "mailjet", ip: "192.0.2.1",
		campaign:      fmt.Sprintf("week%d%c", week+1, "ab"[i/2%2]),
		sendingDomain: "mail.example.com",
		sent:          cookbookStart().AddDate(0, 0, day).Add(time.Duration(i) * 3 * time.Second),
	}
	if i/10%2 == 1 {
		m.source, m.provider, m.ip = "zeta", "sendgrid", "192.0.2.2"
	}
	if day >= 14 && i < 40*(day-13) {
		m.ip = "192.0.2.9"
	}
	if i%4 == 3 {
		m.sendingDomain = "news.example.com"
	}
	m.domain = [...]string{"gmail.com", "gmail.com", "gmail.com", "gmail.com", "gmail.com", "outlook.com", "outlook.com", "yahoo.com", "example.com", "example.com"}[m.person%10]
	m.mailbox = map[string]string{"gmail.com": "google", "outlook.com": "microsoft", "yahoo.com": "yahoo", "example.com": "other"}[m.domain]
	m.happens((n*37+m.person*10)%100, week)
	return m
}

// happens gives the message its events.
func (m *mail) happens(fate, week int) {
	after := func(seconds int) time.Time { return m.sent.Add(time.Duration(seconds) * time.Second) }
	switch {
	case fate < 3:
		m.bounced = after(1)
		return
	case fate < 6 && m.domain != "yahoo.com" || m.domain == "outlook.com" && week == 3 && fate < 36:
		m.blocked = after(1)
		return
	case fate < 8:
		m.deferred = after(2)
		return
	}
	takes := 1 + fate%7
	if fate < 18 {
		m.deferred, takes = after(2), 600
	}
	m.delivered = after(takes)
	if m.domain == "gmail.com" && fate%2 == 0 {
		m.proxyOpened = after(takes + 1)
	}
	if m.person%3 == 0 {
		m.opened = after(takes + 60*(1+m.person%50))
		if m.person%6 == 0 {
			m.clicked = m.opened.Add(30 * time.Second)
		}
	}
	if m.number%500 == 7 {
		m.complained = after(86400)
	}
	if m.number%400 == 3 {
		m.resigned = after(172800)
	}
}

// events are how often the provider reported each type of the message.
func (m *mail) events() map[schemas.Type]int {
	counts := map[schemas.Type]int{}
	if m.toldProcessed() {
		counts[schemas.Processed] = 1
	}
	for _, e := range []struct {
		typ schemas.Type
		at  time.Time
	}{
		{schemas.Delivered, m.delivered}, {schemas.Deferred, m.deferred}, {schemas.Bounced, m.bounced}, {schemas.Blocked, m.blocked},
		{schemas.Opened, m.opened}, {schemas.Opened, m.proxyOpened}, {schemas.Clicked, m.clicked},
		{schemas.Complained, m.complained}, {schemas.Unsubscribed, m.resigned},
	} {
		if !e.at.IsZero() {
			counts[e.typ]++
		}
	}
	return counts
}

// toldProcessed says whether the provider reported that it took the message.
func (m *mail) toldProcessed() bool { return m.provider != "mailjet" }

func (m *mail) day() string { return m.sent.Format(time.DateOnly) }

// arrived, refused and died say how a message ended, tried that one of them is so.
func arrived(m mail) bool { return !m.delivered.IsZero() }
func refused(m mail) bool { return !m.blocked.IsZero() }
func died(m mail) bool    { return !m.bounced.IsZero() }
func tried(m mail) bool   { return arrived(m) || refused(m) || died(m) }

func objected(m mail) bool { return !m.complained.IsZero() }

// number writes v as ClickHouse does.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// share is part of whole, rounded as the queries do.
func share(part, whole int) string {
	return number(math.RoundToEven(float64(part)/float64(whole)*1e4) / 1e4)
}

// count is how many of all are so.
func count(all []mail, is func(mail) bool) int {
	n := 0
	for _, m := range all {
		if is(m) {
			n++
		}
	}
	return n
}

// table writes a line a key, in the order of the keys.
func table[K cmp.Ordered](groups map[K][]mail, line func(K, []mail) string) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		if text := line(key, groups[key]); text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "\n")
}

// group sorts all by key.
func group[K comparable](all []mail, key func(mail) K) map[K][]mail {
	groups := map[K][]mail{}
	for _, m := range all {
		groups[key(m)] = append(groups[key(m)], m)
	}
	return groups
}

// where is the part of all that is so.
func where(all []mail, is func(mail) bool) []mail {
	var some []mail
	for _, m := range all {
		if is(m) {
			some = append(some, m)
		}
	}
	return some
}
