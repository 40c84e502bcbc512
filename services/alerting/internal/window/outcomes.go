package window

// An outcome is when and how a message ended, as far as is known: the pane and
// the millisecond in it, the kind, and why for a block. Of two outcomes of one
// message the later one counts; of two at the same moment the worse one, as
// providers' clocks often show whole seconds.
type outcome struct {
	pane Pane
	ms   uint16 // below PaneLength
	kind Kind
	why  Why
}

// rank orders the outcomes of one message that lie in the same window.
func (o outcome) rank() uint64 { return uint64(o.pane)<<16 | uint64(o.ms)<<2 | uint64(o.kind) }

// outcomes holds the latest outcome of each message: an open-addressing table
// with linear probing, 12 bytes a slot, filled to between 3/5 and 4/5. A message
// is known by 55 bits of its hash, seeded per process so that nobody outside can
// aim for collisions; of a million messages two collide with a chance of 1 in
// 70,000.
type outcomes struct {
	slots []slot
	used  int
	swept Pane // everything before it is gone
}

// slot packs one message: hash (32 and 23 bits and one that is always set), why
// (8), pane modulo 2^16, milliseconds (14), kind (2). The zero slot is empty.
type slot [3]uint32

const (
	slotsMin = 16
	// The table is rebuilt beyond slotsNum/slotsDen full.
	slotsNum, slotsDen = 4, 5
	// sweepAfter is how many panes may pass before outcomes out of the window are
	// swept out. Meanwhile they only cost room.
	sweepAfter = 9
	// forgetAfter is when the table is dropped whole instead, and aheadMax how far in
	// the future an event may be (a day and more): panes are kept modulo 2^16, which
	// must not come round.
	forgetAfter = 1 << 14
	aheadMax    = 1 << 14
)

func pack(hash uint64, o outcome) slot {
	return slot{uint32(hash >> 32), uint32(hash)&^0xff | 1<<8 | uint32(o.why), uint32(uint16(o.pane))<<16 | uint32(o.ms)<<2 | uint32(o.kind)}
}

// is says whether s belongs to the message of in.
func (s slot) is(in slot) bool { return s[0] == in[0] && s[1]>>8 == in[1]>>8 }

// outcome unpacks s; panes are near oldest.
func (s slot) outcome(oldest Pane) outcome {
	ahead := int16(uint16(s[2]>>16) - uint16(oldest))
	return outcome{pane: oldest + Pane(ahead), ms: uint16(s[2]>>2) & (1<<14 - 1), kind: Kind(s[2] & 3), why: Why(s[1])}
}

// put makes o the outcome of the message unless it has a later one. It returns
// the one it had in the window, if any.
func (t *outcomes) put(hash uint64, o outcome, oldest Pane) (had outcome, known bool) {
	t.expire(oldest)
	if (t.used+1)*slotsDen > len(t.slots)*slotsNum {
		t.rebuild(oldest)
	}
	in := pack(hash, o)
	for i := t.home(in); ; i = t.after(i) {
		s := &t.slots[i]
		if *s == (slot{}) {
			*s = in
			t.used++
			return had, false
		}
		if !s.is(in) {
			continue
		}
		had = s.outcome(oldest)
		known = had.pane >= oldest
		if !known || o.rank() > had.rank() {
			*s = in
		}
		return had, known
	}
}

// home is where the search for a message begins.
func (t *outcomes) home(s slot) int { return int(uint64(s[0]) * uint64(len(t.slots)) >> 32) }

func (t *outcomes) after(i int) int {
	if i++; i < len(t.slots) {
		return i
	}
	return 0
}

// expire forgets outcomes before oldest, sooner or later.
func (t *outcomes) expire(oldest Pane) {
	switch {
	case oldest-t.swept > forgetAfter:
		*t = outcomes{swept: oldest}
	case oldest-t.swept > sweepAfter:
		t.rebuild(oldest)
	}
}

// rebuild drops what is before oldest and makes room for a third more.
func (t *outcomes) rebuild(oldest Pane) {
	old, live := t.slots, 0
	for _, s := range old {
		if s != (slot{}) && s.outcome(oldest).pane >= oldest {
			live++
		}
	}
	t.slots, t.used, t.swept = make([]slot, max(slotsMin, live*slotsDen/3)), live, max(t.swept, oldest)
	for _, s := range old {
		if s == (slot{}) || s.outcome(oldest).pane < oldest {
			continue
		}
		i := t.home(s)
		for t.slots[i] != (slot{}) {
			i = t.after(i)
		}
		t.slots[i] = s
	}
}
