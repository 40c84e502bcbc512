// Package controls keeps what people say about alerts: silences, acknowledgements
// and notes, read whole from the topic of controls by every instance; and it knows
// the maintenance windows and inhibitions of the configuration. It also keeps the
// last records of incidents that are over, which the book of alerts forgets.
//
// It says what hides the messages of an alert. It decides no alert, sends no
// message, and never hides an incident.
package controls
