package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of the questions that are passed on: bytes of path and of query, hosts in an answer, bytes
// of an answer, the time until it begins, and questions at a time. The sensor takes 32 connections:
// the others are for the commands of an administrator.
const (
	maxPath      = 256
	maxQuery     = 256
	maxSources   = 10_000
	maxAnswer    = 64 << 20
	answerBegins = 5 * time.Second
	maxQuestions = 8
)

// passed are the questions that are passed on, by the first word of their paths. What only the
// control socket answers is not among them: the kept packets, and whatever changes the sensor.
var passed = []string{"status", "health", "findings", "servers", "settings", "sources",
	"explain", "hosts"}

// newAPI passes questions on to the sensor.
func newAPI(cfg *Config) http.Handler {
	var d net.Dialer
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", cfg.Socket)
		},
		MaxConnsPerHost: maxQuestions, MaxIdleConnsPerHost: 2, IdleConnTimeout: 20 * time.Second,
		ResponseHeaderTimeout: answerBegins, MaxResponseHeaderBytes: maxHeader,
		DisableCompression: true,
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "sensor", "sensor"
			// The sensor needs no header, and no password of the client.
			r.Out.Header = http.Header{"User-Agent": {"spamsensor serve"}}
			r.Out.Body, r.Out.ContentLength = nil, 0
		},
		ModifyResponse: func(r *http.Response) error {
			if r.ContentLength > maxAnswer {
				return errTooLong
			}
			contentType := r.Header.Get("Content-Type")
			r.Header = http.Header{"Content-Type": {contentType}}
			r.Body = &bounded{r.Body, maxAnswer}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			code := http.StatusBadGateway
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				code = http.StatusGatewayTimeout
			}
			refuse(w, code, "the sensor does not answer")
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		word, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
		switch {
		case len(r.URL.EscapedPath()) > maxPath || len(r.URL.RawQuery) > maxQuery:
			refuse(w, http.StatusRequestURITooLong, "the question is too long")
		case !slices.Contains(passed, word):
			refuse(w, http.StatusNotFound, "there are /api/v1/"+strings.Join(passed, ", "))
		case tooMany(r.FormValue("limit")):
			refuse(w, http.StatusBadRequest, "limit: want 1 to "+strconv.Itoa(maxSources))
		default:
			proxy.ServeHTTP(w, r)
		}
	})
}

// tooMany reports whether a request asks for more hosts than are passed on. The sensor checks the
// rest of the form.
func tooMany(limit string) bool {
	n, err := strconv.Atoi(limit)
	return err == nil && n > maxSources
}

// refuse answers with an error, in the form of the sensor's errors.
func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]string{"error": text})
}

var errTooLong = errors.New("the answer is too long")

// bounded is an answer with a bound. One that is longer breaks off, so that the client sees that it
// is not whole.
type bounded struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if n > b.left {
		return b.left, errTooLong
	}
	b.left -= n
	return n, err
}
