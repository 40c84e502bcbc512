package store_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

func TestPebble_DamageInUseIsSaid(t *testing.T) {
	t.Parallel()
	reads := map[string]func(*store.Pebble, store.Key) error{
		"one": func(p *store.Pebble, k store.Key) error {
			_, _, err := p.Get(k)
			return err
		},
		"many": func(p *store.Pebble, k store.Key) error {
			_, err := p.GetAll(slices.Repeat([]store.Key{k}, 20))
			return err
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) { t.Parallel(); damageIsSaid(t, read) })
	}
}

func damageIsSaid(t *testing.T, read func(*store.Pebble, store.Key) error) {
	dir := t.TempDir()
	p := open(t, dir, "topic")
	const keys = 2000
	for i := range keys {
		merge(t, p, store.Batch{Updates: []store.Update{{Key: key(i), State: state(key(i), entry("list:1", i))}}})
	}
	if err := p.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range spoiled(t, dir, "*.sst") {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(f, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteAt([]byte(strings.Repeat("x", int(info.Size()/2))), 0)
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	var fault error
	for i := 0; i < keys && fault == nil; i++ {
		fault = read(p, key(i))
	}
	if !errors.Is(fault, store.ErrDamaged) || fate.Of(fault) != fate.Halt {
		t.Fatalf("reads say %v, want ErrDamaged with the fate halt", fault)
	}
	select {
	case <-p.Broken():
	default:
		t.Error("not reported as broken")
	}
	closeStore(t, p)
	p = open(t, dir, "topic")
	defer closeStore(t, p)
	if p.Len() != 0 {
		t.Errorf("%d addresses after the damage, want an empty store", p.Len())
	}
}
