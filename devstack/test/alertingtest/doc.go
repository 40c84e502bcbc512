// Package alertingtest runs alerting on a real engine: rules by SQL over played
// hours and weeks whose truth is known.
package alertingtest
