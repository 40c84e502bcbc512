//go:build linux

package clickhttp

import _ "embed" // the statements of the interface itself

//go:embed sql/about.sql
var aboutSQL string

//go:embed sql/formats.sql
var formatsSQL string

//go:embed sql/query_id.sql
var queryIDSQL string

//go:embed sql/kill.sql
var killSQL string
