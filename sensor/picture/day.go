package picture

import (
	"time"

	"spamsensor/sensor/lang"
)

// Day is a day without its year, as the pictures write it.
func Day(p *lang.Printer, t time.Time) string { return day(p, t) }
