package redact

import "strings"

// inVocabulary reports whether a word is in the closed vocabulary of redaction.
func inVocabulary(word []byte) bool {
	var low [20]byte
	if len(word) > len(low) {
		return false
	}
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return commonWords[string(low[:len(word)])]
}

// commonWords are ordinary words of servers' replies, without names of persons. They come from RFC
// 5321, RFC 3463, the texts of common servers (Postfix, Exim, sendmail, qmail, Exchange), of large
// providers and of blocklists, in English, and some in German and French.
var commonWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(commonText) {
		m[w] = true
	}
	return m
}()

const commonText = `
after ahead big said lost small a about above accept accepted accepting accepts access account
accounts action actions active activity actually add added adding additional address addressed
addressee addresses addressing administrative administratively administrator admin again against age
algorithm alias aliases all allow allowed allowing allows already also although always an and
another answer any anymore anything appear appears applied apply appropriate approved are argument
arguments array as ask asked assistance associated at attachment attachments attack attempt
attempted attempts attribute auth authenticate authenticated authenticating authentication
authoritative authority authorization authorized automated automatic automatically available avoid
away back backend bad badly bandwidth banned bare based be because become been before begin behavior
being below best better between blackhole blackholed blacklist blacklisted block blocked blocking
blocklist blocklisted blocks body both bounce bounced bounces box bulk busy but buffer by bye byte
bytes cache call called can cancelled cannot capabilities capacity case cause caused causes
certificate change changed characters check checked checking checks choose chunk chunking cipher
class clear click client clients close closed closing code codes come command commands communication
complaint complaints complete completed compliance compliant compromised concurrent condition config
configuration configured conflict congested congestion connect connected connecting connection
connections consider contact contacting contacts contain contained containing contains content
contents continue control conversation conversion copy correct correctly could count created
credentials criteria current currently customer customers daily damaged data database date day days
dead declined default defer deferred defined delay delayed delegate delete deleted deliver delivered
delivering delivers delivery denied deny denying depth describe desired destination details detected
determine did different directly directory disabled disallowed disconnect disconnected disconnecting
discarded disk dns dnsbl do document does doing domain domains done down dropped dropping due
duplicate during dynamic dynamically each earlier early easily either ehlo email emails empty enable
enabled encoded encoding encryption end ended ending engine enhanced enough ensure enter entries
entry envelope error errors esmtp established etc even event every exact exceed exceeded exceeds
exceeding except excessive exchange exist existing exists expand expected expires explanation
extended extension extensions external fail failed failing fails failure failures false far feature
feedback few field file files filter filtered filtering filters final find first fix flag flood flow
folder follow followed following follows for forbidden forged format formatted forward forwarded
forwarding found free frequency frequently from full function further future gateway general
generated get getting give given go goes going good goodbye grey greylist greylisted greylisting
greeting greetings group guidelines had handle hang happened hard has have having he header headers
hello help helo here high him his history hold home host hosted hosting hosts hour hours how however
http https human i id identification identified identify identity if ignored illegal image
immediately impersonation implement implemented important improper in inactive inbound inbox
included including incoming incorrect indicate indicated infected information infrastructure initial
input insecure inside instead insufficient intended interface internal internet into invalid ip ips
ipv is isp issue issues it its itself join junk just keep keepalive key kind known large last later
latest least left length less let letter level like likely limit limited limits line lines link
links list listed listing listings lists literal little load loaded local locally location locked
log login logged long longer look looks lookup loop low lower machine mail mailbox mailboxes mailer
mailers mailing mails mailserver maintenance make malformed malicious malware man many marked match
matched matches matching max maximum may me means mechanism media memory message messages method
mime minimum minute minutes misconfigured missing mismatch mode moment monitoring more most moved
much multiple must mx my name named names needed need needs negotiated negotiation network networks
never new next no nobody noncompliant none nonexistent noop normal not nothing notice now null
number numbers object obtain occurred octets of off offered ok okay old on once one ones only open
opened operation operations operator option optional options or order organisation organization
organizations origin original originating other others our out outbound outgoing outside over
overload overloaded own owned owner page parameter parameters part partial parse parsing party pass
passed password path pattern peer pending per percent perform performed period permanent permanently
permission permissions permit permitted personal phishing pipelining place plain please point
pointer policies policy poor port ports possible possibly postmaster potential practices prdr prefix
presented present pretty prevent previous prior private privacy problem problems procedure proceed
process processed processing prohibited proper properly protect protected protection protocol
provide provided provider providers proxy ptr public published purpose query queries question queue
queued queueing quit quota range rate rather rbl reach reached reachable read ready real really
reason reasons receive received receiver receiving recent recently recipient recipients recognised
recognized recommend reconnect record records redirect redirected reduce refer reference referred
refuse refused refusing regarding region registered reject rejected rejecting rejection rejections
rejects relating relay relayed relaying released remote removal remove removed replaced reply
replies report reported reporting reports reputation request requested requests require required
requirement requirements requires reset resolution resolve resolved resolves resource resources
response responses restart restricted restriction restrictions result results retry retries retrying
return returned returning returns reverse review rewrite right root route router routing rset rule
rules running safe same scan scanned scanner score scored search seconds section secure secured
security see seem seems seen select send sender senders sending sends sent separate sequence server
servers service services session sessions set setting settings several share shared shortly should
show shown shut shutdown shutting signature signed similar simple simultaneous since site size slow
smtp smtputf so socket software some something soon source spam spammer spammers spamming spamtrap
specific specified specify spf spool spoofed standard standards start started starting starttls
state statement static status step still stop stopped storage store stored strange string strong
structure subject submission submit submitted subsequent subscriber subsystem success successful
successfully such sufficient support supported suspect suspected suspended suspicious syntax system
systems take taken table target technical temporarily temporary terminal terminated terminating test
tests text than thank thanks that the their them then there therefore these they things this those
though threshold throttled throttling through throughput thus time timed timeout times tls to today
together told too total traffic transaction transactions transfer transmission transport trap
treated tried trouble troubleshooting trusted try trying twice two type unable unacceptable
unauthenticated unauthorized unavailable unconfigured under undefined undeliverable understand
understood unexpected unfortunately unicode unimplemented unique unknown unless unnecessary
unqualified unreachable unrecognised unrecognized unresolvable unrouteable unroutable unsafe
unsolicited unsupported until unusable unusual up update updated upgrade upon url us usage use used
useful user users using usual utf valid validate validation value vector verification verified
verify verifying version very via violate violated violates violation virtual virus viruses visit
volume vrfy wait waiting warning was we web webpage website welcome well were what when where
whether which while whitelist whitelisted whole why will window with within without words work
working would write written wrong www year years yes yet you your yours yourself dkim dmarc arc bl
sbl xbl pbl css drop zen spamhaus spamcop barracuda sorbs uceprotect surbl uribl spamrats abuseat
cbl psbl invaluement senderscore mailspike hostkarma nixspam manitu truncate backscatter
backscatterer mimecast proofpoint cloudmark google gmail gsmtp microsoft outlook office exchangelabs
yahoo aol postfix exim sendmail qmail dovecot courier zimbra abgelehnt absender adresse angegeben
bitte dienst ein empfaenger existiert fehler gesperrt ihre ihrer ist kein keine nachricht nicht
postfach ungueltig unbekannt versuchen verweigert voll wurde zugriff acces boite compte depasse
destinataire echec est existe expediteur inconnu introuvable invalide le la les mauvaise nombre pas
pleine refusee serveur trop une utilisateur votre
`
