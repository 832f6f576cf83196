package engine

import (
	"strings"

	"spamsensor/sensor/dns"
)

// knownHost reports whether a host belongs to a well-known blocklist or mail provider. The name of
// such a host reveals nothing about the client's mail.
func knownHost(host []byte) bool {
	return knownHosts[dns.Registered(strings.ToLower(string(host)))]
}

// knownHosts are registered domains of blocklists and of large mail providers, as refusals quote
// them. The list needs no upkeep: a name that is missing is shown redacted.
var knownHosts = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`
		0spam.org abuse.ch abuseat.org backscatterer.org barracuda.com barracudacentral.org
		blocklist.de cloudmark.com dnswl.org gbudb.net interserver.net invaluement.com
		junkemailfilter.com lashback.com mailspike.net mailspike.org manitu.net mxtoolbox.com
		nordspam.com njabl.org orbl.org proofpoint.com psbl.org s5h.net senderbase.org
		senderscore.com senderscore.org sorbs.net spamcannibal.org spamcop.net spamhaus.org
		spamhaus.com spamhaus.net spamrats.com spfbl.net support-intelligence.net surbl.org
		surriel.com talosintelligence.com uceprotect.net unsubscore.com uribl.com validity.com
		woody.ch aol.com apple.com att.net bell.net comcast.net cox.net emailsrvr.com fortinet.com
		free.fr gmail.com gmx.com gmx.de gmx.net google.com hotmail.com icloud.com live.com
		mail.com mail.ru messagelabs.com microsoft.com mimecast.com office.com office365.com
		open-spf.org openspf.net openspf.org orange.fr outlook.com postini.com qq.com rr.com
		secureserver.net sophos.com symanteccloud.com t-online.de telekom.de trendmicro.com
		verizon.net web.de yahoo.com yahoodns.net yahooinc.com yandex.com yandex.ru zoho.com`) {
		m[name] = true
	}
	return m
}()
