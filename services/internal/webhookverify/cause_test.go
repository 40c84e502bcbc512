package webhookverify

import (
	"testing"
	"time"
)

// class is Refused for every refusal: most tests do not care why.
func class(v Verdict) Verdict {
	if v.Refuses() {
		return Refused
	}
	return v
}

func TestVerdict_OnlyThreeAreNoRefusal(t *testing.T) {
	t.Parallel()
	var zero Verdict
	if !zero.Refuses() || Genuine.Refuses() || Settled.Refuses() || Unsure.Refuses() || !UnknownKey.Refuses() || Verdict(-1).Refuses() {
		t.Error("a verdict is of the wrong side")
	}
	w := TimeWindow{Clock: func() time.Time { return time.Unix(1000, 0) }, Size: time.Minute}
	for text, want := range map[string]Verdict{"940": Genuine, "1060": Genuine, "939": OldTime, "1061": FutureTime, "": BadSignature, "x": BadSignature, "-1": BadSignature} {
		if got := w.Judge(text, time.Second); got != want {
			t.Errorf("%q at 1000: verdict %d, want %d", text, got, want)
		}
	}
}
