package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"
)

// mailer sends mail: to a submission server with TLS and AUTH (RFC 6409, RFC 8314), or to the MTA
// of this machine without.
type mailer struct {
	host           string
	port           int
	to             []string
	from           string
	user, password string
	tls            *tls.Config
}

func newMail(c *Channel) (sender, error) {
	m := &mailer{to: c.To, from: c.From, tls: c.tls}
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil { // no port
		host, port = strings.Trim(c.Server, "[]"), "25"
		if c.Credential != "" {
			port = "587"
		}
	}
	if m.port, err = strconv.Atoi(port); err != nil || m.port < 1 || m.port > 65535 ||
		strings.ContainsAny(host, "/ @") {
		return nil, fmt.Errorf("%q is no mail server (try mail.example.org:587)", c.Server)
	}
	m.host = cmp.Or(host, "localhost")
	if m.from == "" {
		m.from = "spamsensor@" + hostName()
	}
	if len(m.to) == 0 {
		return nil, errors.New("mail needs to: an address")
	}
	for _, a := range append([]string{m.from}, m.to...) {
		if err := CheckAddress(a); err != nil {
			return nil, err
		}
	}
	if c.Credential != "" {
		var ok bool
		if m.user, m.password, ok = strings.Cut(c.Credential, ":"); !ok || m.user == "" {
			return nil, errors.New("the credential of mail has the form USER:PASSWORD")
		}
	}
	return m, nil
}

// CheckAddress checks a mail address.
func CheckAddress(s string) error {
	if _, err := netmail.ParseAddress(s); err != nil || strings.ContainsAny(s, "\r\n") {
		return fmt.Errorf("%q is no mail address (try postmaster@example.org)", clean(s, maxName))
	}
	return nil
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

func (m *mailer) where() string {
	return fmt.Sprintf("%s by %s", strings.Join(m.to, ", "),
		net.JoinHostPort(m.host, strconv.Itoa(m.port)))
}

// client makes the client of one delivery. A credential needs TLS. Without one the MTA of this
// machine gets plain SMTP, and another server TLS if it offers it, with any certificate: the
// alternative there is no TLS.
func (m *mailer) client(ctx context.Context) (*mail.Client, error) {
	conf := &tls.Config{ServerName: m.host}
	if m.tls != nil {
		conf = m.tls.Clone()
		conf.ServerName = m.host
	}
	policy := mail.TLSMandatory
	switch {
	case m.user != "" || m.port == 587 || m.port == 465:
	case isLoopback(m.host):
		policy = mail.NoTLS
	default:
		policy = mail.TLSOpportunistic
		conf.InsecureSkipVerify = true
	}
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() }) // the deadline of the whole delivery
		if m.port == 465 {
			return tls.Client(conn, conf), nil
		}
		return conn, nil
	}
	options := []mail.Option{mail.WithPort(m.port), mail.WithTimeout(sendTimeout),
		mail.WithTLSConfig(conf), mail.WithTLSPolicy(policy), mail.WithDialContextFunc(dial),
		mail.WithHELO(hostName()), mail.WithoutNoop()}
	if m.port == 465 {
		options = append(options, mail.WithSSL())
	}
	if m.user != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover),
			mail.WithUsername(m.user), mail.WithPassword(m.password))
	}
	return mail.NewClient(m.host, options...)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// letter makes the mail of a message.
func (m *mailer) letter(msg *Message) (*mail.Msg, error) {
	l := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(l.From(m.from), l.To(m.to...)); err != nil {
		return nil, err
	}
	// A text that looks like an encoded word (RFC 2047) must not be decoded.
	l.Subject(strings.ReplaceAll(cut(500, msg.Subject()), "=?", "= ?"))
	l.SetDateWithValue(msg.Created)
	l.SetMessageIDWithValue(msg.ID + "." + domainChars(msg.Channel) + "@" +
		domainChars(hostName()))
	// Nothing answers this mail by itself (RFC 3834).
	l.SetGenHeader("Auto-Submitted", "auto-generated")
	l.SetBodyString(mail.TypeTextPlain, msg.Text())
	return l, nil
}

// domainChars leaves what a domain name may have.
func domainChars(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.') {
			return r
		}
		return '-'
	}, s)
}

func (m *mailer) send(ctx context.Context, msg *Message, _ time.Time) error {
	client, err := m.client(ctx)
	if err != nil {
		return failed("cannot send mail", err)
	}
	l, err := m.letter(msg)
	if err != nil {
		return failed("cannot write the mail", err)
	}
	err = client.DialAndSendWithContext(ctx, l)
	if err == nil || l.IsDelivered() { // an error after the server took the mail is none
		return nil
	}
	return m.failure(ctx, err)
}

// failure says why a mail was not taken. A reply of 5xx is for ever (RFC 5321, section 4.2.1).
func (m *mailer) failure(ctx context.Context, err error) *failure {
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	f := failed("mail by "+net.JoinHostPort(m.host, strconv.Itoa(m.port)), err)
	code := 0
	var refused *mail.SendError
	var reply *textproto.Error
	if errors.As(err, &refused) {
		code = refused.ErrorCode()
	}
	if errors.As(err, &reply) {
		code = reply.Code
	}
	switch {
	case code == 0 && strings.Contains(err.Error(), "does not support STARTTLS"):
		f.reason = reasonTLS
		f.hint = "the server offers no TLS on this port (try 465 or 587), and a login is not " +
			"sent without"
	case code == 0 && strings.Contains(err.Error(), "not support") &&
		strings.Contains(err.Error(), "AUTH"):
		f.reason = reasonAuth
		f.hint = "the server offers no login that spamsensor knows on this port (try 465 or 587)"
	case code == 530 || code == 534 || code == 535 || code == 538:
		f.reason, f.permanent = reasonAuth, true
		f.hint = "the server wants another login: is USER:PASSWORD in the credential right?"
	case code >= 500 && code < 600:
		f.reason, f.permanent = reasonRefused, true
		f.hint = "the server refuses this mail: read its reply; is your address on a blocklist, " +
			"and may this machine send from " + m.from + "?"
	case code >= 400 && code < 500:
		f.reason = reasonTemporary
		f.hint = "the server asks to try later; notify does"
	}
	return f
}
