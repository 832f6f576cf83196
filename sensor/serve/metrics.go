package serve

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spamsensor/sensor/event"
	"spamsensor/sensor/status"
	"spamsensor/sensor/verdict"
)

// maxServers bounds the mail servers that have a label.
const maxServers = 50

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// sensorMetrics are the metrics of the sensor, in the order of the manual.
func sensorMetrics() []metric {
	return slices.Concat(runMetrics(), captureMetrics(), decodeMetrics(), mailMetrics(),
		tableMetrics(), findingMetrics(), outputMetrics(), noticeMetrics())
}

// runMetrics are about the process of the sensor and its configuration.
func runMetrics() []metric {
	return []metric{
		{"up_sensor", "Whether the sensor answers on its control socket (1) or not (0).", gauge,
			nil, func(s *snapshot, emit emitter) { emit(truth(s.status != nil)) }, true},
		{"ask_duration_seconds", "Time that the sensor took for its latest answer.", gauge,
			nil, func(s *snapshot, emit emitter) { emit(s.took.Seconds()) }, true},
		{"build_info", "Version of the sensor; the value is 1.", gauge,
			[]string{"version", "revision", "goversion", "libpcap"},
			func(s *snapshot, emit emitter) {
				x := s.status
				emit(1, x.Version, x.Revision, x.GoVersion, x.Libpcap)
			}, false},
		ofStatus("start_time_seconds", "Start of the sensor, in seconds since 1970.", gauge,
			func(x *status.Status) float64 { return seconds(x.Started) }),
		ofStatus("resident_memory_bytes", "Memory of the sensor's process.", gauge,
			func(x *status.Status) float64 { return float64(x.Resident) }),
		ofStatus("panics_total", "Faults of the sensor, each of which cost a packet or a "+
			"connection.", counter, func(x *status.Status) float64 { return float64(x.Panics) }),
		ofStatus("config_last_reload_successful", "Whether the latest attempt to load the "+
			"configuration succeeded.", gauge,
			func(x *status.Status) float64 { return truth(x.Config.Good) }),
		ofStatus("config_last_reload_success_timestamp_seconds", "When the configuration in "+
			"force was loaded, in seconds since 1970.", gauge,
			func(x *status.Status) float64 { return seconds(x.Config.Loaded) }),
		{"health_raised", "Whether a health check is raised, on any interface.", gauge,
			[]string{"check"}, func(s *snapshot, emit emitter) {
				raised := map[string]bool{}
				for _, name := range event.Checks() { // so that one rule covers all
					raised[name] = false
				}
				for i := range s.status.Health {
					raised[s.status.Health[i].Check] = true
				}
				for _, name := range slices.Sorted(maps.Keys(raised)) {
					emit(truth(raised[name]), name)
				}
			}, false},
	}
}

// captureMetrics are about the interfaces.
func captureMetrics() []metric {
	return []metric{
		ofInterfaces("capture_interface_up", "Whether an interface delivers frames: 0 if its link "+
			"is down, or it is gone.", gauge,
			func(in *status.Interface) float64 { return truth(in.Problem == "") }),
		ofInterfaces("capture_packets_total", "Frames that passed the filter and were read.",
			counter, func(in *status.Interface) float64 { return float64(in.Frames) }),
		ofInterfaces("capture_bytes_total", "Bytes of these frames, as captured.",
			counter, func(in *status.Interface) float64 { return float64(in.Bytes) }),
		{"capture_arrived_packets_total", "Frames that the interface received, before the " +
			"filter; absent if the kernel does not say it.", counter, []string{"interface"},
			func(s *snapshot, emit emitter) {
				for i := range s.status.Interfaces {
					if in := &s.status.Interfaces[i]; in.Arrived != 0 {
						emit(float64(in.Arrived), in.Name)
					}
				}
			}, false},
		{"capture_dropped_packets_total", "Frames that were lost before the sensor could read " +
			"them: in the kernel's buffer (kernel) or in the network card (nic).", counter,
			[]string{"interface", "where"},
			func(s *snapshot, emit emitter) {
				for i := range s.status.Interfaces {
					in := &s.status.Interfaces[i]
					emit(float64(in.KernelDrops), in.Name, "kernel")
					emit(float64(in.InterfaceDrops), in.Name, "nic")
				}
			}, false},
		ofInterfaces("capture_errors_total", "Errors of reading from the interface.",
			counter, func(in *status.Interface) float64 { return float64(in.Errors) }),
		{"capture_last_packet_timestamp_seconds", "Time of the latest frame of any interface, in " +
			"seconds since 1970; absent before the first.", gauge, nil,
			func(s *snapshot, emit emitter) {
				if t := s.status.LastPacket; !t.IsZero() {
					emit(seconds(t))
				}
			}, false},
		ofStatus("capture_loss_ratio", "Share of the bytes of mail dialogues that were sent and "+
			"not captured.", gauge, func(x *status.Status) float64 { return x.Loss }),
	}
}

// decodeMetrics are about frames and segments.
func decodeMetrics() []metric {
	return []metric{
		ofCounts("decode_packets_total", "Frames by the outcome of decoding; each frame has one.",
			counter, "outcome", func(x *status.Status) map[string]uint64 { return x.Decode }),
		ofStatus("decode_refused_packets_total", "Frames that could not be decoded.", counter,
			func(x *status.Status) float64 { return float64(x.Refused) }),
		ofStatus("syn_packets_total", "First SYNs, to any port.", counter,
			func(x *status.Status) float64 { return float64(x.SYN) }),
		ofCounts("tcp_events_total", "What happened to connections of mail, by kind; see tcp of "+
			"the stats event.", counter, "kind",
			func(x *status.Status) map[string]uint64 { return x.TCP }),
		ofCounts("smtp_events_total", "What happened in dialogues, by kind; see smtp of the "+
			"stats event.", counter, "kind",
			func(x *status.Status) map[string]uint64 { return x.SMTP }),
	}
}

// mailMetrics are about mail connections, and about declared mail servers.
func mailMetrics() []metric {
	return []metric{
		ofStatus("attempts_total", "Attempts to open a mail connection.", counter,
			func(x *status.Status) float64 { return float64(x.Attempts) }),
		ofStatus("sessions_total", "Mail connections that were opened.", counter,
			func(x *status.Status) float64 { return float64(x.Sessions) }),
		{"sessions_seen_total", "Mail connections by the sides of which packets were seen: both, " +
			"client, server.", counter, []string{"seen"}, func(s *snapshot, emit emitter) {
			emit(float64(s.status.SeenBoth), "both")
			emit(float64(s.status.SeenClient), "client")
			emit(float64(s.status.SeenServer), "server")
		}, false},
		{"mail_server_messages_total", "Messages of a declared mail server that were sent (out) " +
			"and accepted (in), as of its latest hourly event; at most 50 servers.", counter,
			[]string{"server", "direction"}, func(s *snapshot, emit emitter) {
				for i := range s.servers[:min(maxServers, len(s.servers))] {
					x := &s.servers[i]
					emit(x.Server.MessagesOut, x.SrcIP, "out")
					emit(x.Server.MessagesIn, x.SrcIP, "in")
				}
			}, false},
		{"mail_server_queue_messages", "Messages of a declared mail server that were deferred " +
			"and not accepted since, as of its latest hourly event; at most 50 servers.", gauge,
			[]string{"server"}, func(s *snapshot, emit emitter) {
				for i := range s.servers[:min(maxServers, len(s.servers))] {
					emit(s.servers[i].Server.Queue, s.servers[i].SrcIP)
				}
			}, false},
	}
}

// tableMetrics are about the tables of the sensor.
func tableMetrics() []metric {
	return []metric{
		ofStatus("flows_active", "Connections in the table.", gauge,
			func(x *status.Status) float64 { return float64(x.Flows.Active) }),
		ofStatus("flows_total", "Connections that were ever in the table.", counter,
			func(x *status.Status) float64 { return float64(x.Flows.Total) }),
		ofStatus("flows_evicted_total", "Connections that a full table gave up.", counter,
			func(x *status.Status) float64 { return float64(x.Flows.Evicted) }),
		ofStatus("sources_tracked", "Hosts in the table of sources.", gauge,
			func(x *status.Status) float64 { return float64(x.Sources.Active) }),
		ofStatus("sources_evicted_total", "Hosts that a full table of sources gave up.", counter,
			func(x *status.Status) float64 { return float64(x.Sources.Evicted) }),
		ofStatus("hosts_tracked", "Hosts that are judged.", gauge,
			func(x *status.Status) float64 { return float64(x.Hosts.Active) }),
		ofStatus("hosts_evicted_total", "Judged hosts that a full table gave up.", counter,
			func(x *status.Status) float64 { return float64(x.Hosts.Evicted) }),
		ofStatus("tables_memory_bytes", "Memory of the tables in use.", gauge,
			func(x *status.Status) float64 { return float64(x.Memory) }),
		ofStatus("tables_memory_limit_bytes", "Memory that the tables may use.", gauge,
			func(x *status.Status) float64 { return float64(x.MemCap) }),
	}
}

// findingMetrics are about findings.
func findingMetrics() []metric {
	return []metric{
		{"findings_open", "Findings that are open now.", gauge, []string{"class", "level"},
			func(s *snapshot, emit emitter) {
				for _, class := range classes(s.status.Findings.Open) {
					for l := verdict.Suspect; l <= verdict.Confirmed; l++ {
						emit(float64(s.status.Findings.Open[class][l.String()]), class, l.String())
					}
				}
			}, false},
		{"findings_total", "Findings since the start of the sensor, by their severity at the " +
			"opening.", counter, []string{"class", "severity"}, func(s *snapshot, emit emitter) {
			for _, class := range classes(s.status.Findings.Total) {
				for v := verdict.Info; v <= verdict.Critical; v++ {
					emit(float64(s.status.Findings.Total[class][v.String()]), class, v.String())
				}
			}
		}, false},
	}
}

// outputMetrics are about the events.
func outputMetrics() []metric {
	return []metric{
		ofCounts("events_total", "Events, by type.", counter, "type",
			func(x *status.Status) map[string]uint64 { return x.Output.Events }),
		ofStatus("events_written_total", "Events that were written to the output.", counter,
			func(x *status.Status) float64 { return float64(x.Output.Written) }),
		ofCounts("events_dropped_total", "Events that were lost because the output was too slow "+
			"or failed, by type.", counter, "type",
			func(x *status.Status) map[string]uint64 { return x.Output.Dropped }),
		ofStatus("output_failing", "Whether events cannot be written at the moment.", gauge,
			func(x *status.Status) float64 { return truth(x.Output.Failing != "") }),
	}
}

// ofStatus is a metric with one series.
func ofStatus(name, help string, kind prometheus.ValueType,
	value func(*status.Status) float64) metric {
	return metric{name: name, help: help, kind: kind,
		read: func(s *snapshot, emit emitter) { emit(value(s.status)) }}
}

// ofInterfaces is a metric with a series for each interface.
func ofInterfaces(name, help string, kind prometheus.ValueType,
	value func(*status.Interface) float64) metric {
	return metric{name: name, help: help, kind: kind, labels: []string{"interface"},
		read: func(s *snapshot, emit emitter) {
			for i := range s.status.Interfaces {
				in := &s.status.Interfaces[i]
				emit(value(in), in.Name)
			}
		}}
}

// ofCounts is a metric with a series for each counter of an object.
func ofCounts(name, help string, kind prometheus.ValueType, label string,
	counts func(*status.Status) map[string]uint64) metric {
	return metric{name: name, help: help, kind: kind, labels: []string{label},
		read: func(s *snapshot, emit emitter) { ofMap(counts(s.status), emit) }}
}

// ofMap emits the entries of an object, in order.
func ofMap[N uint64 | float64](m map[string]N, emit emitter) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		emit(float64(m[key]), key)
	}
}

// classes are all classes of findings: those that are known, and those that the sensor names.
func classes[V any](named map[string]V) []string {
	all := map[string]bool{}
	for c := verdict.Class(0); c < verdict.Classes; c++ {
		all[c.String()] = true
	}
	for c := range named {
		all[c] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// truth is 1 for true.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is a time in seconds since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
