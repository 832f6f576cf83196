package serve

import (
	"maps"
	"slices"
	"time"
)

// noticeMetrics are about the notices that `spamsensor notify` sends. There are none if the file of
// its counters is missing.
func noticeMetrics() []metric {
	byChannel := []string{"channel"}
	return []metric{
		{"notify_sent_total", "Notices that were delivered.", counter, byChannel,
			func(s *snapshot, emit emitter) { ofMap(s.notices.sent, emit) }, true},
		{"notify_failed_total", "Attempts to deliver a notice that failed.", counter,
			[]string{"channel", "reason"}, func(s *snapshot, emit emitter) {
				for _, channel := range slices.Sorted(maps.Keys(s.notices.failed)) {
					ofMap(s.notices.failed[channel], func(v float64, reason ...string) {
						emit(v, channel, reason[0])
					})
				}
			}, true},
		{"notify_given_up_total", "Notices that were given up.", counter, byChannel,
			func(s *snapshot, emit emitter) { ofMap(s.notices.givenUp, emit) }, true},
		{"notify_queue", "Notices that wait for their delivery.", gauge, byChannel,
			func(s *snapshot, emit emitter) { ofMap(s.notices.queue, emit) }, true},
		{"notify_last_sent_timestamp_seconds", "When a notice was delivered last, in seconds " +
			"since 1970.", gauge, byChannel,
			func(s *snapshot, emit emitter) { times(s.notices.lastSent, emit) }, true},
		{"notify_failing_since_timestamp_seconds", "When a channel began to fail, in seconds " +
			"since 1970; none for one whose latest attempt was delivered.", gauge, byChannel,
			func(s *snapshot, emit emitter) { times(s.notices.failingSince, emit) }, true},
		{"notify_dropped_total", "Notices that a full queue dropped.", counter, nil,
			func(s *snapshot, emit emitter) {
				if d := s.notices.dropped; d != nil {
					emit(*d)
				}
			}, true},
		{"notify_last_update_timestamp_seconds", "When notify wrote its counters, in seconds " +
			"since 1970; it does so every ten seconds.", gauge, nil,
			func(s *snapshot, emit emitter) {
				if t := s.notices.at; !t.IsZero() {
					emit(seconds(t))
				}
			}, true},
	}
}

// times emits the times of the channels that have one.
func times(m map[string]time.Time, emit emitter) {
	for _, channel := range slices.Sorted(maps.Keys(m)) {
		emit(seconds(m[channel]), channel)
	}
}
