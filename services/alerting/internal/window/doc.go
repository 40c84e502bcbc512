// Package window counts messages by outcome over a sliding window of event
// time, in two halves that may run in different processes. A Ring counts the
// unique events of one input partition into panes; a Table merges what many
// rings report and sums any window from it.
//
// It is pure: no clock, no input or output, no goroutine; callers pass the
// oldest pane that still matters. An event counts once however often it comes,
// and a report that is merged again changes nothing. Events older than the
// window are reported as late, never silently dropped. It does not decide
// whether a rate is bad.
package window
