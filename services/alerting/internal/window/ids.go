package window

// idSet holds 64-bit hashes in an open-addressing table with linear probing:
// about 8 bytes divided by its load an entry, a third of a Go map. It only
// grows; whole sets are dropped with their pane. Hashes are seeded per process,
// so nobody outside can aim for collisions; two of 9 million events collide with
// a chance of 2 in a million.
type idSet struct {
	slots []uint64 // length a power of two; 0 is empty
	used  int
	zero  bool // the hash 0 itself is in the set
}

const (
	idSlotsMin = 16 // a quiet pane has a handful of events
	// The table grows beyond loadNum/loadDen full; probes stay short below.
	idLoadNum, idLoadDen = 3, 4
)

// add puts id in and reports whether it was absent.
func (s *idSet) add(id uint64) bool {
	if id == 0 {
		added := !s.zero
		s.zero = true
		return added
	}
	if (s.used+1)*idLoadDen > len(s.slots)*idLoadNum {
		s.grow()
	}
	if !s.place(id) {
		return false
	}
	s.used++
	return true
}

func (s *idSet) place(id uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for i := id & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case 0:
			s.slots[i] = id
			return true
		case id:
			return false
		}
	}
}

func (s *idSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(idSlotsMin, 2*len(old)))
	for _, id := range old {
		if id != 0 {
			s.place(id)
		}
	}
}
