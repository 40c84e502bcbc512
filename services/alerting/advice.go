package alerting

import (
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
)

// Advice says of an alert what usually helps, in the words of its messages; "" where
// nothing can be said.
func Advice(a *schemas.Alert) string { return wording.Advice(a) }
