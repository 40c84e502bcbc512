//go:build !linux

package engine

// ChildMain is the main of an engine's child. There is no engine for this
// platform, so nothing starts one.
func ChildMain() int { return 1 }
