package replay

import _ "embed"

var (
	//go:embed sql/hours.sql
	hoursSQL string
	//go:embed sql/page.sql
	pageSQL string
	//go:embed sql/drop.sql
	dropSQL string
	//go:embed sql/gone.sql
	goneSQL string
	//go:embed sql/listed.sql
	listedSQL string
	//go:embed sql/touch.sql
	touchSQL string
	//go:embed sql/verdicts.sql
	verdictsSQL string
)
