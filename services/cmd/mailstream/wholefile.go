package main

import (
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

// createWhole begins a file that will be out, which must not be there.
func createWhole(out string) (*wholeFile, error) {
	if f, err := createUnnamed(out); err == nil {
		return f, nil
	}
	file, err := os.CreateTemp(filepath.Dir(out), ".mailstream-*")
	if err != nil {
		return nil, err
	}
	return &wholeFile{
		File:  file,
		place: func() error { return os.Rename(file.Name(), out) },
		drop:  func() error { return os.Remove(file.Name()) },
	}, nil
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
