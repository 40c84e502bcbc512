// Package auth says who uses the console and what that person may do.
//
// A person comes in by a name and a password (bcrypt), by a bearer token, by the
// header of a trusted proxy or by OpenID Connect; without any of them everybody on
// this host is let in, and the service refuses to listen anywhere else. It keeps no
// session: a sealed cookie carries name and role. It does not keep users, and it does
// not decide what a page needs: the page says so.
package auth

import "fmt"

// Role is what a person may do; each includes those below it.
type Role int

// The roles. Nobody has no role and sees nothing.
const (
	Nobody   Role = iota
	Viewer        // rates and incidents, no person
	Support       // people, by an address that is typed
	Operator      // whole addresses; changes
	Admin         // import, export, discard
)

var roleNames = [...]string{Viewer: "viewer", Support: "support", Operator: "operator", Admin: "admin"}

// String returns the name of the configuration file, "nobody" for none.
func (r Role) String() string {
	if r <= Nobody || int(r) >= len(roleNames) {
		return "nobody"
	}
	return roleNames[r]
}

// MarshalText writes the name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ParseRole reads the name of a role.
func ParseRole(name string) (Role, error) {
	for i, known := range roleNames {
		if known == name && known != "" {
			return Role(i), nil
		}
	}
	return Nobody, fmt.Errorf("read role %q: want viewer, support, operator or admin", name)
}

// User is who makes a request.
type User struct {
	Name string
	Role Role
	// Browser is true for a person with a session, who can sign out.
	Browser bool
}

// May says whether the user has at least the role.
func (u User) May(r Role) bool { return u.Role >= r && r > Nobody }
