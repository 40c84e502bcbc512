package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// wholeFile gets its name when it is whole, so that a run that fails leaves nothing that
// looks whole, and where the file system can do it a run that is killed leaves nothing.
type wholeFile struct {
	*os.File
	place func() error // gives it its name
	drop  func() error // removes what is there without
}

// createWhole begins a file that will be out. Where out must not be there, replaces is false.
func createWhole(out string, replaces bool) (*wholeFile, error) {
	beside := filepath.Join(filepath.Dir(out), ".mailstream-"+rand.Text())
	file, link, err := createUnnamed(filepath.Dir(out))
	if err != nil {
		if file, err = os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
			return nil, err
		}
		return &wholeFile{
			File:  file,
			place: func() error { return os.Rename(beside, out) },
			drop:  func() error { return os.Remove(beside) },
		}, nil
	}
	f := &wholeFile{File: file, place: func() error { return link(out) }, drop: func() error { return nil }}
	if replaces { // which a link does not
		f.place = func() error {
			if err := link(beside); err != nil {
				return err
			}
			if err := os.Rename(beside, out); err != nil {
				return errors.Join(err, os.Remove(beside))
			}
			return nil
		}
	}
	return f, nil
}

// end closes the file, with its name if it is whole.
func (f *wholeFile) end(whole bool) error {
	err := f.Sync()
	if whole = whole && err == nil; whole {
		if err = f.place(); err != nil {
			err, whole = fmt.Errorf("put the file in its place: %w", err), false
		}
	}
	if !whole {
		err = errors.Join(err, f.drop())
	}
	return errors.Join(err, f.Close())
}
