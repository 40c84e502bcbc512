package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// importProgress is how far an import has come: all before Line is on the list.
type importProgress struct {
	Line   int       `json:"line"`
	File   string    `json:"file"`   // its state
	Errors *int64    `json:"errors"` // bytes of --errors; nil without
	Sum    importSum `json:"sum"`    // of the lines before
}

// goOn takes up what a stopped import has noted of f.
func (i *importCommand) goOn(f *os.File) error {
	if i.dryRun {
		return nil
	}
	about, err := f.Stat()
	if err != nil {
		return err
	}
	i.state = fmt.Sprintf("%d bytes, changed %s", about.Size(), about.ModTime().UTC().Format(time.RFC3339Nano))
	text, err := os.ReadFile(i.file + progressSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var p importProgress
	if err := json.Unmarshal(text, &p); err != nil || p.Line < 1 {
		return fmt.Errorf("%s is not how far an import is: remove it to begin at the first line", i.file+progressSuffix)
	}
	if p.File != i.state {
		return fmt.Errorf("%s has changed since its import was stopped at line %d: remove %s to begin at the first line", i.file, p.Line, i.file+progressSuffix)
	}
	i.from, i.sum, i.errorBytes = p.Line, p.Sum, p.Errors
	fmt.Fprintf(i.progress, "mailstream: goes on at line %d, as %s says\n", i.from, i.file+progressSuffix)
	return nil
}

// openErrors makes --errors, or cuts it to what it was where the import goes on. What was
// made is noted at once: the next run must know it for its own.
func (i *importCommand) openErrors() (err error) {
	if i.errorBytes == nil {
		i.errors, err = os.OpenFile(i.errorsFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil && i.from == 0 && i.state != "" {
			err = i.keep(1)
		}
		return err
	}
	if i.errors, err = os.OpenFile(i.errorsFile, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	return errors.Join(i.errors.Truncate(*i.errorBytes), seekEnd(i.errors))
}

func seekEnd(f *os.File) error {
	_, err := f.Seek(0, io.SeekEnd)
	return err
}

// keep says that all before line is on the list: whole, or as it was.
func (i *importCommand) keep(line int) error {
	p := importProgress{Line: line, File: i.state, Sum: i.sum}
	if i.errors != nil {
		at, err := i.errors.Seek(0, io.SeekCurrent)
		if err := errors.Join(err, i.errors.Sync()); err != nil {
			return fmt.Errorf("--errors: %w", err)
		}
		p.Errors = &at
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(i.file), ".mailstream-import-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), i.file+progressSuffix)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
