package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// assets are the embedded files, each with its ETag: browsers keep them for an hour, and
// then ask whether they are still the same.
type assets struct {
	files map[string]asset
	none  http.HandlerFunc // answers for a name that is none
}

type asset struct {
	text []byte
	etag string
}

func newAssets(none http.HandlerFunc) (assets, error) {
	all := assets{map[string]asset{}, none}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := staticFiles.ReadFile(name)
		sum := sha256.Sum256(text)
		all.files[strings.TrimPrefix(name, "static/")] = asset{text, `W/"` + hex.EncodeToString(sum[:8]) + `"`}
		return err
	})
	return all, err
}

// packedBytesMin is from where on an answer is smaller when it is packed.
const packedBytesMin = 1_000

// packed sends answers with gzip to who takes it. No answer has a secret beside what a
// visitor sent, which its length could tell.
func packed(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(packedBytesMin), gzhttp.CompressionLevel(gzip.BestSpeed))
	if err != nil {
		return nil, fmt.Errorf("pack answers: %w", err)
	}
	return wrap(next), nil
}

// ServeHTTP serves one by its name.
func (all assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := all.files[r.URL.Path]
	if !ok {
		all.none(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("ETag", found.etag)
	http.ServeContent(w, r, path.Base(r.URL.Path), time.Time{}, bytes.NewReader(found.text))
}
