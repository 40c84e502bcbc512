package analyticstest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const everyQuestion = 26

// cookbookAnswers are those of all questions of the cookbook, in their order, as
// tab-separated lines.
func cookbookAnswers(all []mail) []string {
	answers := make([]string, 0, everyQuestion)
	answers = append(answers, rateAnswers(all)...)
	answers = append(answers, failureAnswers(all)...)
	answers = append(answers, timeAnswers(all)...)
	return append(answers, peopleAnswers(all)...)
}

// rateLine is what happened to messages in shares of those that have an outcome.
func rateLine[K any](key K, some []mail) string {
	return ratesBeside(key, some, count(some, objected))
}

// ratesBeside is a rateLine with complaints that need not be of these messages.
func ratesBeside[K any](key K, some []mail, complaints int) string {
	all := count(some, tried)
	return fmt.Sprintf("%v\t%d\t%s\t%s\t%s\t%s", key, all, share(count(some, arrived), all), share(count(some, died), all), share(count(some, refused), all), share(complaints, count(some, arrived)))
}

// rateDays has a line a day, with the complaints that came on it.
func rateDays(all []mail) string {
	return table(group(all, func(m mail) string { return m.day() }), func(day string, some []mail) string {
		return ratesBeside(day, some, count(all, func(m mail) bool { return m.complained.Format(time.DateOnly) == day }))
	})
}

func rateAnswers(all []mail) []string {
	microsoft := where(all, func(m mail) bool {
		return m.mailbox == "microsoft" && m.day() >= "2026-10-26"
	})
	return []string{
		rateDays(all),
		byBlocks(group(all, func(m mail) string { return m.mailbox })),
		table(group(all, func(m mail) string { return m.campaign }), rateLine),
		table(group(all, func(m mail) string { return m.sendingDomain }), rateLine),
		table(group(microsoft, func(m mail) string { return m.sent.Format("2006-01-02 15:00:00") }), func(hour string, some []mail) string {
			outcomes := where(some, tried)
			return fmt.Sprintf("%s\t%d\t%d\t%s", hour, count(some, refused), len(outcomes), share(count(some, refused), len(outcomes)))
		}),
		gone(all),
		table(group(where(all, func(m mail) bool { return m.domain == "outlook.com" }), func(m mail) string { return m.provider }), rateLine),
		rateDays(where(all, func(m mail) bool { return m.ip == "192.0.2.9" })),
	}
}

// byBlocks has the group with the most blocks for what it sent first.
func byBlocks(groups map[string][]mail) string {
	rate := func(key string) float64 {
		return float64(count(groups[key], refused)) / float64(count(groups[key], tried))
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b string) int { return cmp.Or(cmp.Compare(rate(b), rate(a)), cmp.Compare(a, b)) })
	lines := make([]string, len(keys))
	for i, key := range keys {
		lines[i] = rateLine(key, groups[key])
	}
	return strings.Join(lines, "\n")
}

// gone are the domains that block twice as much in the last week as in the one before,
// and not those that never blocked.
func gone(all []mail) string {
	last := cookbookStart().AddDate(0, 0, 21).Truncate(24 * time.Hour)
	ended := where(all, func(m mail) bool {
		return !m.sent.Before(last.AddDate(0, 0, -7)) && tried(m)
	})
	return table(group(ended, func(m mail) string { return m.domain }), func(domain string, some []mail) string {
		weeks := group(some, func(m mail) bool { return m.sent.Before(last) })
		before, after := weeks[true], weeks[false]
		if count(after, refused) == 0 || float64(count(after, refused))/float64(len(after)) < 2*float64(count(before, refused))/float64(len(before)) {
			return ""
		}
		return fmt.Sprintf("%s\t%d\t%d\t%s\t%s", domain, len(before), len(after), share(count(before, refused), len(before)), share(count(after, refused), len(after)))
	})
}

// descending joins lines, the one with the largest number first.
func descending(lines map[string]int) string {
	keys := slices.SortedFunc(maps.Keys(lines), func(a, b string) int { return cmp.Compare(lines[b], lines[a]) })
	return strings.Join(keys, "\n")
}

func failureAnswers(all []mail) []string {
	dead, blocked, held := where(all, died), where(all, refused), where(all, func(m mail) bool { return !m.deferred.IsZero() })
	kinds := group(blocked, func(m mail) bool { return m.domain == "outlook.com" })
	listed, disliked := kinds[true], kinds[false]
	domains := func(some []mail) int { return len(group(some, func(m mail) string { return m.domain })) }
	lists := map[string]int{}
	for ip, some := range group(listed, func(m mail) string { return m.ip }) {
		const form = "2006-01-02 15:04:05.000"
		at := func(m mail) string { return m.blocked.Format(form) }
		lists[fmt.Sprintf("microsoft-s3150\t%s\t%d\t%s\t%s", ip, len(some), slices.Min(each(some, at)), slices.Max(each(some, at)))] = len(some)
	}
	return []string{
		descending(map[string]int{
			fmt.Sprintf("550 5.1.1 <(address)> user unknown\t%d", len(dead)):    len(dead),
			fmt.Sprintf("550 5.7.1 poor reputation\t%d", len(disliked)):         len(disliked),
			fmt.Sprintf("550 5.7.1 on our block list (S3150)\t%d", len(listed)): len(listed),
			fmt.Sprintf("451 4.7.1 greylisted, id #\t%d", len(held)):            len(held),
		}),
		descending(map[string]int{
			fmt.Sprintf("recipient\tinvalid_recipient\t%d\t%d", len(dead), domains(dead)): len(dead),
			fmt.Sprintf("sender\treputation\t%d\t%d", len(disliked), domains(disliked)):   len(disliked),
			fmt.Sprintf("sender\tblocklist\t%d\t%d", len(listed), domains(listed)):        len(listed),
		}),
		descending(lists),
		table(group(where(all, tried), func(m mail) string { return m.campaign }), func(campaign string, some []mail) string {
			hard := where(some, died)
			return fmt.Sprintf("%s\t%d\t%d\t%s", campaign, len(hard), people(hard), share(len(hard), len(some)))
		}),
	}
}

func each[T any](some []mail, of func(mail) T) []T {
	values := make([]T, len(some))
	for i, m := range some {
		values[i] = of(m)
	}
	return values
}

func people(some []mail) int { return len(group(some, func(m mail) int { return m.person })) }

// quantile is the value below which level of all are, as quantileExact has it.
func quantile(seconds []float64, level float64) string {
	slices.Sort(seconds)
	return number(seconds[int(level*float64(len(seconds)))])
}

func timeAnswers(all []mail) []string {
	byMailbox := func(m mail) string { return m.mailbox }
	early := where(all, func(m mail) bool {
		return m.sent.Before(time.Date(2026, 10, 30, 0, 0, 0, 0, time.UTC)) && !tried(m)
	})
	return []string{
		table(group(where(all, func(m mail) bool { return arrived(m) && m.toldProcessed() }), byMailbox), func(mailbox string, some []mail) string {
			takes := each(some, func(m mail) float64 { return m.delivered.Sub(m.sent).Seconds() })
			return fmt.Sprintf("%s\t%s\t%s", mailbox, quantile(takes, 0.5), quantile(takes, 0.99))
		}),
		table(group(where(all, func(m mail) bool { return !m.opened.IsZero() }), byMailbox), func(mailbox string, some []mail) string {
			takes := each(some, func(m mail) float64 { return m.opened.Sub(m.delivered).Seconds() })
			return fmt.Sprintf("%s\t%s\t%s", mailbox, quantile(takes, 0.5), quantile(takes, 0.9))
		}),
		table(group(where(all, arrived), byMailbox), func(mailbox string, some []mail) string {
			held := count(some, func(m mail) bool { return !m.deferred.IsZero() })
			return fmt.Sprintf("%s\t%d\t%d\t%s", mailbox, held, len(some), share(held, len(some)))
		}),
		table(group(early, func(m mail) string { return m.source }), func(source string, some []mail) string {
			return fmt.Sprintf("%s\t%d\t%d", source, len(some), count(some, func(m mail) bool { return !m.deferred.IsZero() }))
		}),
	}
}

func peopleAnswers(all []mail) []string {
	funnel := where(all, func(m mail) bool { return m.campaign == "week2a" })
	set := func(of func(mail) time.Time) int { return count(funnel, func(m mail) bool { return !of(m).IsZero() }) }
	byPerson := group(all, func(m mail) int { return m.person }) // each in the order of sending
	var first, later, toDead []mail
	for _, some := range byPerson {
		first, later = append(first, some[0]), append(later, some[1:]...)
		if i := slices.IndexFunc(some, died); i >= 0 {
			toDead = append(toDead, some[i+1:]...)
		}
	}
	first, later = where(first, tried), where(later, tried)
	return []string{
		fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d", len(funnel), count(funnel, arrived), set(func(m mail) time.Time { return m.opened }),
			set(func(m mail) time.Time { return m.clicked }), set(func(m mail) time.Time { return m.complained }), set(func(m mail) time.Time { return m.resigned })),
		cohorts(byPerson),
		fmt.Sprintf("first message\t%d\t%s\nlater message\t%d\t%s", len(first), share(count(first, died), len(first)), len(later), share(count(later, died), len(later))),
		fmt.Sprintf("%d\t%d", people(toDead), len(toDead)),
		complaints(all),
		table(group(toDead, func(m mail) string { return m.source }), func(source string, some []mail) string {
			return fmt.Sprintf("%s\thard_bounce\t%d\t%d", source, len(some), people(some))
		}),
		table(group(all, func(m mail) string { return m.mailbox }), func(mailbox string, some []mail) string {
			byPeople := count(some, func(m mail) bool { return !m.opened.IsZero() })
			open := count(some, func(m mail) bool { return !m.opened.IsZero() || !m.proxyOpened.IsZero() })
			return fmt.Sprintf("%s\t%d\t%s\t%s", mailbox, count(some, arrived), share(open, count(some, arrived)), share(byPeople, count(some, arrived)))
		}),
		table(group(all, func(m mail) string { return m.source }), repeats),
		silent(byPerson),
		readers(all),
	}
}

// readers are the recipients of each account by when they last opened or clicked, and
// what was sent to them since.
func readers(all []mail) string {
	type recipient struct {
		source string
		person int
	}
	people, messages := map[string]int{}, map[string]int{}
	known := where(all, func(m mail) bool { return tried(m) || m.toldProcessed() })
	for _, some := range group(known, func(m mail) recipient { return recipient{m.source, m.person} }) {
		var last time.Time
		for _, m := range some {
			last = slices.MaxFunc([]time.Time{last, m.opened, m.clicked}, time.Time.Compare)
		}
		acted := "before"
		if last.IsZero() {
			acted = "never"
		} else if !last.Before(cookbookStart().AddDate(0, 0, 14).Truncate(24 * time.Hour)) {
			acted = "last two weeks"
		}
		people[acted]++
		messages[acted] += count(some, func(m mail) bool { return m.sent.After(last) })
	}
	lines := []string{}
	for _, acted := range slices.Sorted(maps.Keys(people)) {
		lines = append(lines, fmt.Sprintf("%s\t%d\t%d", acted, people[acted], messages[acted]))
	}
	return strings.Join(lines, "\n")
}

// cohorts are the people by the week of their first message, and how many of them
// opened one in that week and in each of the three after it.
func cohorts(byPerson map[int][]mail) string {
	const weeks = 4
	week := func(m mail) int { return int(m.sent.Sub(cookbookStart()).Hours()) / (7 * 24) }
	var people [weeks]int
	var opened [weeks][weeks]int
	for _, some := range byPerson {
		first := week(some[0])
		people[first]++
		for later := range group(where(some, func(m mail) bool { return !m.opened.IsZero() }), week) {
			opened[first][later-first]++
		}
	}
	var lines []string
	for first, n := range people {
		if n == 0 {
			continue
		}
		line := fmt.Sprintf("%s\t%d", cookbookStart().AddDate(0, 0, 7*first).Format(time.DateOnly), n)
		for _, some := range opened[first] {
			line += fmt.Sprintf("\t%d", some)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func complaints(all []mail) string {
	return table(group(all, func(m mail) string { return m.day() + m.campaign }), func(_ string, some []mail) string {
		complained := count(some, objected)
		if complained == 0 {
			return ""
		}
		return fmt.Sprintf("%s\t%s\t%d\t%d\t%s", some[0].campaign, some[0].day(), count(some, arrived), complained, share(complained, count(some, arrived)))
	})
}

// silent are the people who got five messages or more and opened none.
func silent(byPerson map[int][]mail) string {
	var reached []mail
	for _, some := range byPerson {
		if count(some, arrived) >= 5 && count(some, func(m mail) bool { return !m.opened.IsZero() }) == 0 {
			reached = append(reached, where(some, arrived)...)
		}
	}
	return table(group(reached, func(m mail) string { return m.mailbox }), func(mailbox string, some []mail) string {
		return fmt.Sprintf("%s\t%d\t%d", mailbox, people(some), len(some))
	})
}

// repeats counts the events of a source, of which acme tells those of one message in
// ten twice.
func repeats(source string, some []mail) string {
	events, twice := 0, 0
	for _, m := range some {
		n := 0
		for _, times := range m.events() {
			n += times
		}
		events += n
		if source == "acme" && m.number%10 == 5 {
			twice += n
		}
	}
	return fmt.Sprintf("%s\t%d\t%d\t%d", source, events+twice, events, twice)
}
