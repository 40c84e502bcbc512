package rule

import "math"

// exceeds says whether part/total > rate, to a millionth.
func exceeds(part, total int64, rate float64) bool {
	return part*perMillion > millionths(rate)*total
}

// below says whether part/total < rate, to a millionth.
func below(part, total int64, rate float64) bool {
	return part*perMillion < millionths(rate)*total
}

// millionths returns a rate as it is compared.
func millionths(rate float64) int64 { return int64(math.Round(rate * perMillion)) }

// count returns how many messages are bad.
func (r Rule) count(in Reading) int64 {
	if r.LowIsBad() {
		return max(in.Total-in.Part, 0)
	}
	return in.Part
}

// worse returns which of two rates is.
func (r Rule) worse(a, b float64) float64 {
	if r.LowIsBad() {
		return min(a, b)
	}
	return max(a, b)
}

// recovered says whether the rate is back beyond the line where an incident ends.
func (r Rule) recovered(in Reading) bool {
	if r.LowIsBad() {
		return exceeds(in.Part, in.Total, r.ResolveAbove) || in.Part >= in.Total // nothing exceeds 1
	}
	return below(in.Part, in.Total, r.ResolveBelow)
}

// unusual says whether the share of bad messages is Baseline times that of the
// weeks before. What has no weeks before cannot be compared and does not fire.
func (r Rule) unusual(in Reading) bool {
	if r.Baseline == 0 {
		return true
	}
	now, usual := in.Rate(), in.Usual
	if r.LowIsBad() {
		now, usual = 1-now, 1-usual
	}
	return in.HasUsual && now > usual*r.Baseline
}

// certain says whether also the lower end of the Wilson interval of the bad share
// is beyond the threshold: of rare events, a few prove nothing.
func (r Rule) certain(in Reading) bool {
	if r.Confidence == 0 {
		return true
	}
	threshold := r.Threshold
	if r.LowIsBad() {
		threshold = 1 - threshold
	}
	return wilsonLow(r.count(in), in.Total, r.Confidence) > threshold
}

// wilsonLow returns the lower end of the Wilson score interval (E. B. Wilson, 1927)
// of part in total: the smallest share that would not be surprising.
func wilsonLow(part, total int64, confidence float64) float64 {
	if total == 0 {
		return 0
	}
	z := math.Sqrt2 * math.Erfinv(confidence)
	n, p := float64(total), float64(part)/float64(total)
	middle, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return (middle - half) / (1 + z*z/n)
}
