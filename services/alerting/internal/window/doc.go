// Package window counts messages by outcome over a sliding window of event
// time, in two halves that may run in different processes. A Ring counts the
// messages of one input partition into panes; a Table merges what many rings
// report and sums any window from it.
//
// A message has one outcome, its latest: a refusal that comes after the delivery
// replaces it, wherever in the window that was, and so does the delivery of what
// was refused before. To stay a sum that repeats and takeovers cannot spoil, both
// halves only ever grow: every outcome that was ever read is counted, and those
// that a later one replaced are counted again as replaced.
//
// It is pure: no clock, no input or output, no goroutine; callers pass the
// oldest pane that still matters. An event counts once however often it comes
// and in whatever order, and a report that is merged again changes nothing. Events older than the
// window are reported as late, never silently dropped. It does not decide
// whether a rate is bad.
package window
