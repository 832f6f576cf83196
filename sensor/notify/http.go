package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// poster sends JSON by HTTP POST.
type poster struct {
	url    *url.URL
	auth   string // value of the header Authorization; empty for none
	client *http.Client
}

func newPoster(u *url.URL, credential string, conf *tls.Config) *poster {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf,
		DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	p := &poster{url: u, client: &http.Client{Transport: transport,
		// A redirected POST becomes a GET without the message.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
	switch {
	case credential == "":
	case strings.Contains(credential, " "): // a scheme and its parameters
		p.auth = credential
	case strings.Contains(credential, ":"):
		p.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(credential))
	default:
		p.auth = "Bearer " + credential
	}
	return p
}

// maxReply bounds the part of a reply that an error quotes, in bytes.
const maxReply = 300

// post sends a body and returns nil if the server has taken it (2xx).
func (p *poster) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(),
		bytes.NewReader(body))
	if err != nil {
		return failed("cannot post", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "spamsensor")
	if p.auth != "" {
		req.Header.Set("Authorization", p.auth)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		if u, ok := err.(*url.Error); ok { // its text has the URL, which may be a secret
			err = u.Err
		}
		return failed("cannot post to "+p.url.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	return statusFailure(p.url.Host, resp, string(text))
}

// statusFailure makes a failure of a status (RFC 9110, section 15).
func statusFailure(host string, resp *http.Response, text string) *failure {
	f := &failure{reason: reasonRefused, permanent: true, text: strings.TrimSpace(clean(
		fmt.Sprintf("%s answers %s: %s", host, resp.Status, strings.TrimSpace(text)), maxText))}
	switch code := resp.StatusCode; {
	case code == 408 || code == 425 || code == 429 || code >= 500:
		f.reason, f.permanent = reasonTemporary, false
		f.hint = "the server asks to try later; notify does"
	case code == 401 || code == 403:
		f.reason, f.hint = reasonAuth, "is the credential right?"
	case code >= 300 && code < 400:
		f.hint = "the server has moved: put the new address into the configuration"
	case code == 404 || code == 405 || code == 410:
		f.hint = "is the address right, and does the webhook still exist?"
	default:
		f.hint = "does the server want another template?"
	}
	return f
}
