// Package slow reads from ClickHouse what rules cannot judge from the stream: long
// windows, campaigns, IP addresses, comparisons with the weeks before, feeds that
// fell silent. It turns rows into readings; it steps no rule and notifies no one.
//
// It only ever selects, within limits of time, rows and keys. What it cannot read it
// does not guess: no reading is made, and after a while it says that rules are not
// judged.
package slow
