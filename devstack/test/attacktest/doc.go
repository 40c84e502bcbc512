// Package attacktest holds the tests of attacks by unauthenticated clients on an
// ingress: the deployed program, over TCP, beside one that is not attacked. It
// has only tests.
package attacktest
