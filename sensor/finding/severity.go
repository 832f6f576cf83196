package finding

import "spamsensor/sensor/verdict"

// Severity is how soon somebody should act. declared says that the host of a finding is a declared
// mail server.
func Severity(c verdict.Class, l verdict.Level, declared bool) verdict.Severity {
	switch c {
	case verdict.DirectSMTP:
		return verdict.Info
	case verdict.UndeclaredServer, verdict.NotSMTP:
		return verdict.Medium
	case verdict.Scanner, verdict.Backscatter:
		return verdict.Low
	case verdict.OnBlocklist:
		if declared {
			return verdict.High
		}
		return verdict.Medium
	case verdict.VolumeAnomaly:
		return [...]verdict.Severity{verdict.Info, verdict.Low, verdict.Medium, verdict.High}[l]
	case verdict.OpenRelay, verdict.HijackedAccount:
		return [...]verdict.Severity{verdict.Info, verdict.Medium, verdict.High,
			verdict.Critical}[l]
	}
	return [...]verdict.Severity{verdict.Info, verdict.Low, verdict.High, verdict.Critical}[l]
}
