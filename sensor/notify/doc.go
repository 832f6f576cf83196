// Package notify tells people about findings, and about faults that make the sensor blind. It reads
// the file of the events and never talks to the sensor: the file is the queue, so that nothing
// here can stall the capture.
//
//	events file > tail > rules > outbox (on disk) > one worker for each channel > people
//
// Words: an item is one thing to tell (a finding, its end, a condition of the sensor). A message is
// what one channel gets at a time: some items, and the number of those that were left out. A
// channel is a way to people: mail, webhook, Alertmanager, syslog, journald.
//
// Nothing is lost in a crash. The position in the file is saved together with what the rules
// remember, after the messages are in the outbox; a message leaves the outbox after it was
// delivered. So a crash may repeat a message. What is refused because something is full is counted.
//
// Texts from the network are hostile. [clean] makes each inert when it is read, and each channel
// encodes it once more in its own way: mail headers, JSON, structured data of syslog.
//
// Time is passed in. Only Run looks at the clock, through Config.Now.
package notify
