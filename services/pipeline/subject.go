package pipeline

import (
	"context"
	"io"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/subject"
)

// Forget forgets people; see subject.Forget.
func Forget(ctx context.Context, cfg Config, f subject.Forget, log *zap.Logger) (subject.Forgotten, error) {
	deps, err := subjectDeps(cfg, log)
	if err != nil {
		return subject.Forgotten{}, err
	}
	return f.Run(ctx, deps)
}

// Export writes what is known of a person to w; see subject.Export.
func Export(ctx context.Context, cfg Config, address string, w io.Writer, log *zap.Logger) (subject.Exported, error) {
	deps, err := subjectDeps(cfg, log)
	if err != nil {
		return subject.Exported{}, err
	}
	return subject.Export(ctx, deps, address, w)
}

func subjectDeps(cfg Config, log *zap.Logger) (subject.Deps, error) {
	hasher, err := address.NewHasher(cfg.Privacy.Pepper)
	if err != nil {
		return subject.Deps{}, err
	}
	return subject.Deps{Kafka: cfg.Kafka, ClickHouse: cfg.ClickHouse, Hasher: hasher, Log: log}, nil
}

// Hasher returns what gives an address its recipient hash.
func Hasher(cfg Config) (func(canonical string) string, error) {
	hasher, err := address.NewHasher(cfg.Privacy.Pepper)
	if err != nil {
		return nil, err
	}
	return hasher.Hash, nil
}
