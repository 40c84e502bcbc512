// Package bench measures what the budget table of ARCHITECTURE.md promises, each
// number beside its reference in the same run, on the machine it runs on. It
// reports what it got and judges nothing: a ratio on a busy laptop is a fact
// about that laptop.
package bench
