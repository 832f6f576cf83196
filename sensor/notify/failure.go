package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Reasons of failures, as the counters name them.
const (
	reasonRefused     = "refused"     // the server understood and said no
	reasonTemporary   = "temporary"   // the server said: later
	reasonUnreachable = "unreachable" // nobody answers, or the name is not known
	reasonTimeout     = "timeout"
	reasonTLS         = "tls"
	reasonAuth        = "auth"
	reasonTemplate    = "template"
	reasonOther       = "other"
)

// failure is why a message was not delivered. Its texts are clean.
type failure struct {
	reason    string
	permanent bool // trying again does not help
	text      string
	hint      string // what an administrator should do; may be empty
}

func (f *failure) Error() string { return f.text }

// failed makes a failure of an error of the network.
func failed(doing string, err error) *failure {
	f := &failure{reason: reasonOther, text: clean(fmt.Sprintf("%s: %v", doing, err), maxText)}
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case errors.As(err, &dns):
		f.reason = reasonUnreachable
		f.hint = "is the name of the server right, and does the DNS answer on this machine?"
	case isTLS(err):
		f.reason = reasonTLS
		f.hint = "the certificate must be for this name and from an authority that this machine " +
			"trusts (update-ca-certificates adds one), and the server must speak TLS here"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &netErr) && netErr.Timeout():
		f.reason = reasonTimeout
		f.hint = "the server does not answer: is the address right, and does a firewall let us out?"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.reason = reasonUnreachable
		f.hint = "nothing listens there: is the server running, and is the port right?"
	case errors.Is(err, syscall.ENOENT):
		f.reason = reasonUnreachable
		f.hint = "there is no such socket: is the service running?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.reason = reasonUnreachable
		f.hint = "there is no way to this address from here"
	}
	return f
}

func isTLS(err error) bool {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid) ||
		errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert)
}

// asFailure returns the failure that an error is.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return failed("cannot deliver", err)
}
