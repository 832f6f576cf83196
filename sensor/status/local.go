package status

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
)

// Getter is somebody who answers: a [Client], or [Local].
type Getter interface {
	// Get asks for a path below /api/v1/ and decodes the answer into result.
	Get(ctx context.Context, path string, result any) error
}

// Local answers for a sensor in the same process, in the same way as a Client.
func Local(sensor Sensor) Getter { return local{Handler(sensor, nil)} }

type local struct{ handler http.Handler }

// Get implements Getter.
func (l local) Get(ctx context.Context, path string, result any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/"+path, http.NoBody)
	if err != nil {
		return err
	}
	w := recorder{code: http.StatusOK, header: http.Header{}}
	l.handler.ServeHTTP(&w, r)
	if w.code != http.StatusOK {
		e := &Error{Code: w.code}
		if err := json.Unmarshal(w.body.Bytes(), e); err != nil {
			return err
		}
		return e
	}
	return json.Unmarshal(w.body.Bytes(), result)
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

// Header, WriteHeader and Write implement http.ResponseWriter.
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
