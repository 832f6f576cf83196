package sources

import (
	"slices"

	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// accounts are the providers to which a source logged in: by their name, else by their network.
type accounts struct {
	provider [maxAccounts]uint32
	n        int
}

// maxAccounts is how many providers a person has accounts with; a mail client has one to three.
const maxAccounts = 3

// add adds a provider, and reports whether the source has no more than people have.
func (a *accounts) add(provider uint32) (few bool) {
	switch {
	case slices.Contains(a.provider[:min(a.n, maxAccounts)], provider):
	case a.n < maxAccounts:
		a.provider[a.n] = provider
		a.n++
	default:
		a.n = maxAccounts + 1
	}
	return a.n <= maxAccounts
}

// isOwnAccount reports whether a client sends with a login that its provider accepted: in whose
// name it sends, and to whom, is between the two. A source with accounts at many providers, or one
// that is refused, uses stolen ones.
func (s *Observer) isOwnAccount(x *track.Event, prof *profile) bool {
	return x.Session.Auth == smtpsniff.AuthOK && prof != nil &&
		prof.accounts.add(s.providerOf(x)) && !prof.IsMuchRefused()
}

// providerOf is the hash of the provider of a session's server: a provider has servers in many
// networks, which greet with its name.
func (s *Observer) providerOf(x *track.Event) uint32 {
	if domain := s.nameOf(x.Session.Banner()).domain; domain != 0 {
		return domain
	}
	return s.Peers.Of(x.Key).Net
}
