package serve

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"spamsensor/sensor/status"
)

// ownPrefix begins the names of metrics that are of the server itself, and not of the sensor.
const ownPrefix = prefix + "serve_"

// newHandler answers what a Server is asked. end has those that look live leave.
func newHandler(cfg *Config, sensor status.Getter) (h http.Handler, end func()) {
	a := &asker{sensor: sensor, file: cfg.Notices, now: time.Now}
	own := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total",
		Help: "Requests to spamsensor serve, by the code of the answer; 405 and 421 are refused " +
			"methods and host names."}, []string{"code"})
	ownMetrics := prometheus.WrapRegistererWithPrefix(ownPrefix, own)
	ownMetrics.MustRegister(requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	own.MustRegister(newCollector(a))

	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(own, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxConnections}))
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "spamsensor serve answers.")
	})
	mux.HandleFunc("/-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.ask().ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "The sensor captures, and its configuration is good.")
	})
	mux.Handle("/api/v1/", newAPI(cfg))
	p := newPages(cfg, &watch{asker: a})
	p.routes(mux)
	l := newLive(p, ownMetrics)
	mux.Handle("/live", l)
	return promhttp.InstrumentHandlerCounter(requests, protect(cfg, mux)), l.end
}

// ready says why the sensor cannot do its work, nil if it can: it answers, an interface delivers,
// and the configuration is good.
func (s *snapshot) ready() error {
	if s.err != nil {
		return s.err
	}
	x := s.status
	if !x.Config.Good {
		return fmt.Errorf("the configuration is wrong, the former one is in force: %s",
			x.Config.Error)
	}
	why := errors.New("the sensor has no interface")
	for i := range x.Interfaces {
		in := &x.Interfaces[i]
		if in.Problem == "" {
			return nil
		}
		why = fmt.Errorf("no interface delivers frames: %s %s", in.Name, in.Problem)
	}
	return why
}
