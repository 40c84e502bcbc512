// Package browsertest proves the pages of the console in a real Chromium, over the
// whole embedded stack: `make test-browser` runs it (build tag browser). It tests
// what a person sees and does; what a page answers to a program is tested beside
// the console.
package browsertest
