package pipeline

import (
	"github.com/mailstream/mailstream/services/ingress"
	"github.com/mailstream/mailstream/services/simulate"
)

// SimulatedAuth returns what makes simulated requests genuine for s: its first
// secrets. Sources that check with a public key take what is signed with the
// published key of the development configuration, and nothing else of a
// simulation.
func SimulatedAuth(s ingress.Source) simulate.Auth {
	var a simulate.Auth
	if b := s.Auth.Basic; b != nil && len(b.Password) > 0 {
		a.Username, a.Password = b.Username, b.Password[0]
	}
	if keys := s.Auth.SigningKeys; len(keys) > 0 {
		a.SigningKey = keys[0]
	}
	if u := s.Auth.PublicURL; u != nil {
		a.PublicURL = *u
	}
	if sns := s.Auth.SNS; sns != nil && len(sns.TopicArns) > 0 {
		a.TopicArn = sns.TopicArns[0]
	}
	return a
}
