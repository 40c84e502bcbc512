package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Position is how far a run is: the last event of the tables that was published, in the
// order of time and id, then the next offset of each partition, TOPIC/PARTITION.
type Position struct {
	Time    time.Time        `json:"time"`
	ID      string           `json:"id"`
	Offsets map[string]int64 `json:"offsets,omitempty"`
}

// Progress is how far a run is: the content of its file.
type Progress struct {
	Operation string   `json:"operation"`
	Request   Request  `json:"request"`
	Position  Position `json:"position"`
	// Border is from when on the topics are read. It stays for the whole run.
	Border    time.Time `json:"border,omitzero"`
	Events    int64     `json:"events"`    // looked at
	Published int64     `json:"published"` // acknowledged by Kafka
	Failed    int64     `json:"failed"`    // left as they are
	Unstored  int64     `json:"unstored"`  // records of the topics that analytics had not stored, left for the next run
	// Expired are messages that were not counted anew, since some of their events have
	// expired: a count of the others would take from them what is known of those.
	Expired int64 `json:"expired_messages"`
	Doubts
	Done bool `json:"done"`
}

// Resume returns the progress that the file at path has of the request, or that of a
// new operation when there is no file or what it has is done. A file of another
// request that is not done is an error. What is asked for is Request of the result.
func Resume(path, operation string, r Request) (Progress, error) {
	fresh := Progress{Operation: operation, Request: r}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return fresh, fmt.Errorf("read position: %w", err)
	}
	var p Progress
	if err := json.Unmarshal(text, &p); err != nil {
		return fresh, fmt.Errorf("read position %s: %w; remove the file to begin anew", path, err)
	}
	if p.Done {
		return fresh, nil
	}
	if p.Request.key() != r.key() {
		return fresh, fmt.Errorf("read position %s: it is of another operation, %s, which is not done; finish that one, name another file, or remove this one", path, p.Operation)
	}
	return p, nil
}

// key is all of a request as text: times may differ in their zone.
func (r Request) key() string {
	r.From, r.To = r.From.UTC(), r.To.UTC()
	if r.UntilNow {
		r.To = time.Time{}
	}
	text, err := json.Marshal(r)
	if err != nil { // texts and times of four-digit years
		panic("encode request: " + err.Error())
	}
	return string(text)
}

// write keeps p at path, whole or not at all.
func (p Progress) write(path string) error {
	p.Listed = unnamed(p.Listed)
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the fault above is what matters
		return fmt.Errorf("write position: %w", err)
	}
	return nil
}
