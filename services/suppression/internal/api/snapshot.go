package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// Snapshots writes what this replica knows for another one: package store.
type Snapshots interface {
	// WriteSnapshot writes all states from key from on, as they are at the call.
	WriteSnapshot(ctx context.Context, w io.Writer, from store.Key, head store.SnapshotHead) error
}

// snapshot answers with all states, for a replica that has none yet. Its last bytes are a
// sum: a reader that is cut off knows it, and asks for the rest.
func (a *API) snapshot(w http.ResponseWriter, r *http.Request, b *Backend) {
	values, ok := httpserver.Query(w, r, "from")
	if !ok {
		return
	}
	var from store.Key
	if values.Has("from") {
		var err error
		if from, err = store.ParseKey(values.Get("from")); err != nil {
			refuse(w, "from is "+err.Error())
			return
		}
	}
	if !a.noteNamed(w, r, func() audit.Entry { return audit.Entry{Action: auditSnapshot} }) {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	out := prolonged{w, http.NewResponseController(w)}
	err := b.Snapshots.WriteSnapshot(r.Context(), out, from, store.SnapshotHead{TopicID: b.TopicID, MadeAt: time.Now().UTC()})
	if err != nil {
		if r.Context().Err() == nil {
			a.opt.Log.Warn("snapshot was cut off", telemetry.Err(err))
		}
		panic(http.ErrAbortHandler)
	}
}

// prolonged gives an answer exportTime more with every write.
type prolonged struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p prolonged) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(exportTime)) // a writer without one does not stall
	return p.ResponseWriter.Write(b)
}
