package room

// crowd is the unproven requests of one peer at one source that are being
// received, all known or all unknown. Of these the oldest always has to go
// first, so that a victim is looked for among crowds: an attacker opens thousands
// of requests, and a look at each of them for each new one would hold the lock for
// so long that everybody waits for it.
type crowd struct {
	key         crowdKey
	first, last *Stay // in the order in which they were listed
	index       int   // in room.crowds
}

type crowdKey struct {
	peer   *peer
	source *Source
	known  bool
}

func (st *Stay) crowdKey() crowdKey { return crowdKey{st.peer, st.source, st.known} }

// join adds st to its crowd; r.mu is held.
func (r *Room) join(st *Stay) {
	key := st.crowdKey()
	c := r.crowdOf[key]
	if c == nil {
		c = r.newCrowd()
		c.key = key
		r.crowdOf[key] = c
	}
	st.crowd, st.before, st.after = c, c.last, nil
	if c.last == nil {
		c.first = st
	} else {
		c.last.after = st
	}
	c.last = st
}

// quit takes st out of its crowd; r.mu is held.
func (r *Room) quit(st *Stay) {
	c := st.crowd
	if st.before == nil {
		c.first = st.after
	} else {
		st.before.after = st.after
	}
	if st.after == nil {
		c.last = st.before
	} else {
		st.after.before = st.before
	}
	st.crowd, st.before, st.after = nil, nil, nil
	if c.first == nil {
		r.dropCrowd(c)
	}
}

// newCrowd reuses a dropped crowd, if there is one: most webhooks need a crowd
// that no other request shares.
func (r *Room) newCrowd() *crowd {
	n := len(r.crowds)
	if n < cap(r.crowds) {
		r.crowds = r.crowds[:n+1]
	} else {
		r.crowds = append(r.crowds, nil)
	}
	if r.crowds[n] == nil {
		r.crowds[n] = new(crowd)
	}
	r.crowds[n].index = n
	return r.crowds[n]
}

// dropCrowd leaves c beyond the end of the list, for newCrowd.
func (r *Room) dropCrowd(c *crowd) {
	delete(r.crowdOf, c.key)
	c.key = crowdKey{}
	last := len(r.crowds) - 1
	moved := r.crowds[last]
	r.crowds[c.index], moved.index = moved, c.index
	r.crowds[last] = c
	r.crowds = r.crowds[:last]
}

// oldest returns the request of c that goes first for st, nil when there is none.
func (c *crowd) oldest(st *Stay, bytes bool) *Stay {
	for o := c.first; o != nil; o = o.after {
		if o != st && !(bytes && o.held.Bytes == 0) {
			return o
		}
	}
	return nil
}
