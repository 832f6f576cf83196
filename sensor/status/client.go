package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 256 << 20

// Client asks a running sensor. Several goroutines may use it.
type Client struct {
	socket string
	http   http.Client
}

// NewClient makes a client for a socket. It does not connect yet.
func NewClient(socket string) *Client {
	var d net.Dialer
	return &Client{socket: socket, http: http.Client{Timeout: 2 * requestTime,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
			MaxIdleConns: 2, IdleConnTimeout: 20 * time.Second}}}
}

// Get asks for a path below /api/v1/ and decodes the answer into result. A wrong question is an
// [*Error]; other errors say that the sensor does not answer, and what to do.
func (c *Client) Get(ctx context.Context, path string, result any) error {
	return c.do(ctx, http.MethodGet, path, nil, result)
}

// Post has the sensor do something; see [Action].
func (c *Client) Post(ctx context.Context, path string, body, result any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, b, result)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, result any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://sensor/api/v1/"+path,
		bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return c.unreachable(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the sensor on %s broke off its answer: %w", c.socket, err)
	}
	if answer.StatusCode != http.StatusOK {
		e := &Error{Code: answer.StatusCode}
		if json.Unmarshal(b, e) != nil || e.Text == "" {
			e.Text = answer.Status
		}
		return e
	}
	return json.Unmarshal(b, result)
}

// unreachable says why no sensor answers, and what to do.
func (c *Client) unreachable(err error) error {
	what := "no sensor runs there, or its control.socket is another one"
	switch {
	case errors.Is(err, fs.ErrPermission):
		what = "only root and the group spamsensor may ask; sudo, or: sudo usermod -aG " +
			"spamsensor $USER"
	case errors.Is(err, fs.ErrNotExist):
		what += " (start it with: sudo spamsensor run -i IF; or ask a capture: -r FILE)"
	case errors.Is(err, syscall.ECONNREFUSED):
		what = "the sensor has ended without removing its socket"
	default:
		return fmt.Errorf("the sensor on %s does not answer: %w", c.socket, err)
	}
	return fmt.Errorf("cannot ask the sensor on %s: %s", c.socket, what)
}
