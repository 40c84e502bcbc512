// Package attacktest holds the tests of what strangers can do to an ingress: the
// program as it is deployed, over TCP, beside one that nobody attacks. It has no
// code of its own.
package attacktest
