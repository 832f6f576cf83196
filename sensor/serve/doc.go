// Package serve shows a running sensor over HTTP: metrics for Prometheus, whether it works, and
// its answers as JSON. It runs in a process of its own, without a privilege, and asks the sensor
// over its control socket; a fault here, or a flood of requests, does not reach the packet path.
//
// It changes nothing: GET and HEAD are all that it takes. While the sensor is silent it goes on
// and says so (spamsensor_up_sensor 0, /-/ready 503).
//
// What the sensor says of itself is asked at most once a second, whoever asks how often (see
// asker). Every request has a bound: its time, its size, the connections at a time, the names of
// the host it may be for, and the size of the answer.
package serve
