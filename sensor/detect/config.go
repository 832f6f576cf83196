package detect

import (
	"errors"
	"fmt"
	"time"

	"spamsensor/sensor/lookups"
)

// Config holds the thresholds of the detectors. Zero is no default: DefaultConfig fills in the
// values that the comments name, and Validate refuses others that make no sense.
type Config struct {
	// Alpha is the probability that a sequential test accuses an innocent host. Default 1e-4.
	Alpha float64
	// NewNetworksThreshold is the bound of the test in newnetworks.go, in natural logarithms.
	// Default 11.5.
	NewNetworksThreshold float64
	// ManyNetworks and MassNetworks are different networks within an hour. Default 10 and 25:
	// CESNET's NEMEA reports 10 in 300 s, Zeek 25 failed ones in 5 minutes.
	ManyNetworks, MassNetworks int
	// FastAttempts is how many attempts to port 25 within FastTime make a burst. Default 20 in 5
	// minutes, as BotFlex.
	FastAttempts int
	FastTime     time.Duration
	// Concurrent and MassConcurrent are connections that are open at a time. Default 10 and 30, the
	// numbers in use on MikroTik routers; a desktop has one or two.
	Concurrent, MassConcurrent int
	// SubmitNetworks is how many networks a source contacts for submission within an hour. Default
	// 6: a mail client has one to three accounts, ntopng reports more than 5.
	SubmitNetworks int
	// RefusalLow and RefusalHigh are the shares of refused sessions of an honest sender and of a
	// spammer, between which the test decides. Default 0.1 and 0.5.
	RefusalLow, RefusalHigh float64
	// HeloNames is how many HELO names within a day are too many. Default 3.
	HeloNames int
	// UnknownShare is the share of recipients that servers do not know, of UnknownRecipients or
	// more. Default 0.2 of 10.
	UnknownShare      float64
	UnknownRecipients int
	// SenderDomains and MassSenderDomains are domains of senders within a day. Default 3 and 10.
	SenderDomains, MassSenderDomains int
	// RecipientDomains is how many domains of recipients within an hour are too many. Default 20.
	RecipientDomains int
	// MXDomains is how many domains a source may look up mail servers of within an hour. Default 3:
	// a mail client looks up its own when an account is set up.
	MXDomains int
	// MailNames is how many domains with names such as mail.example.org a source may look up within
	// ten minutes. Default 10.
	MailNames int
}

// DefaultConfig is the configuration that is in force without a configuration file.
func DefaultConfig() Config {
	return Config{
		Alpha: 1e-4, NewNetworksThreshold: 11.5, ManyNetworks: 10, MassNetworks: 25,
		FastAttempts: 20, FastTime: 5 * time.Minute, Concurrent: 10, MassConcurrent: 30,
		SubmitNetworks: 6, RefusalLow: 0.1, RefusalHigh: 0.5, HeloNames: 3,
		UnknownShare: 0.2, UnknownRecipients: 10, SenderDomains: 3, MassSenderDomains: 10,
		RecipientDomains: 20, MXDomains: 3, MailNames: 10,
	}
}

// Validate reports all faults at once, joined into one error. It names the keys as the file does.
func (c *Config) Validate() error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Alpha > 0 && c.Alpha < 0.5, "alpha is %g, and must be between 0 and 0.5", c.Alpha)
	bad(c.NewNetworksThreshold > 0, "new_networks_threshold is %g, and must be above 0",
		c.NewNetworksThreshold)
	bad(c.ManyNetworks > 1 && c.ManyNetworks <= c.MassNetworks && c.MassNetworks <= maxWindow,
		"many_networks and mass_networks are %d and %d, and must rise within 2 and %d",
		c.ManyNetworks, c.MassNetworks, maxWindow)
	bad(c.FastAttempts > 1 && c.FastAttempts <= maxBurst, "fast_attempts is %d, and must be "+
		"within 2 and %d", c.FastAttempts, maxBurst)
	bad(c.FastTime > 0, "fast_time is %s, and must be above 0", c.FastTime)
	bad(c.Concurrent > 1 && c.Concurrent <= c.MassConcurrent, "concurrent and mass_concurrent "+
		"are %d and %d, and must rise from 2", c.Concurrent, c.MassConcurrent)
	bad(c.SubmitNetworks > 1 && c.SubmitNetworks <= maxSubmit, "submit_networks is %d, and must "+
		"be within 2 and %d", c.SubmitNetworks, maxSubmit)
	bad(c.RefusalLow > 0 && c.RefusalLow < c.RefusalHigh && c.RefusalHigh < 1,
		"refusal_low and refusal_high are %g and %g, and must rise within 0 and 1",
		c.RefusalLow, c.RefusalHigh)
	bad(c.HeloNames > 1 && c.HeloNames <= maxNames, "helo_names is %d, and must be within 2 and "+
		"%d", c.HeloNames, maxNames)
	bad(c.UnknownShare > 0 && c.UnknownShare <= 1 && c.UnknownRecipients > 0, "unknown_share and "+
		"unknown_recipients are %g and %d, and must be a share and a number", c.UnknownShare,
		c.UnknownRecipients)
	bad(c.SenderDomains > 1 && c.SenderDomains <= c.MassSenderDomains &&
		c.MassSenderDomains <= maxDomains,
		"sender_domains and mass_sender_domains are %d and %d, and must rise within 2 and %d",
		c.SenderDomains, c.MassSenderDomains, maxDomains)
	bad(c.RecipientDomains > 1 && c.RecipientDomains <= maxWindow, "recipient_domains is %d, and "+
		"must be within 2 and %d", c.RecipientDomains, maxWindow)
	bad(c.MXDomains > 1 && c.MXDomains <= lookups.MaxDomains, "mx_domains is %d, and must be "+
		"within 2 and %d", c.MXDomains, lookups.MaxDomains)
	bad(c.MailNames > 1 && c.MailNames <= lookups.MaxDomains, "mail_names is %d, and must be "+
		"within 2 and %d", c.MailNames, lookups.MaxDomains)
	return errors.Join(errs...)
}
