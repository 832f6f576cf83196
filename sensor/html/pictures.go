package html

import (
	"fmt"
	"html/template"
	"time"

	"spamsensor/sensor/picture"
	"spamsensor/sensor/report"
)

// at is a time for a picture; a time that is not known is the zero one.
func (b *base) at(t report.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.In(b.zone)
}

// Attempts is the picture of the attempts over time: by minute if the period is a day at most.
func (v *View) Attempts() template.HTML {
	s := &v.Activity.Minutes
	if v.Period.Last-v.Period.First > report.Time(24*time.Hour) {
		s = &v.Activity.Hours
	}
	d := picture.AttemptsData{ID: "attempts", Zone: v.zone, Start: v.at(s.Start),
		Width: time.Duration(s.Width) * time.Second, Servers: s.Servers, Others: s.Others,
		Flagged: s.Flagged, Rest: s.Rest, Outside: s.Outside}
	for i := range v.Findings {
		if f := &v.Findings[i]; f.Severity != "info" {
			d.Marks = append(d.Marks, picture.Mark{At: v.at(f.Decided.At),
				Label: v.lang.Sprintf("finding %d: %s", i+1,
					f.Called()+" "+v.lang.Sentence(f.Title))})
		}
	}
	return picture.Attempts(v.lang, d)
}

// kind is the kind of a host in the pictures.
func (v *View) kind(h *report.Host) picture.Kind {
	switch {
	case v.flagged[h.IP]:
		return picture.Flagged
	case h.Declared():
		return picture.Declared
	}
	return picture.Other
}

// HostsPicture is the picture of the hosts by what they contact. It has no line for the limit of
// the detectors: they count networks within an hour, and a Model has those of the whole period. A
// note says what the limit is, as far as the findings say it.
func (v *View) HostsPicture() template.HTML {
	d := picture.HostsData{ID: "hosts-picture"}
	for i := range v.Hosts {
		h := &v.Hosts[i]
		d.Hosts = append(d.Hosts, picture.HostPoint{Label: h.Called(),
			Servers: uint64(h.Counts.DestIPs), Attempts: uint64(h.Counts.Attempts),
			Kind: v.kind(h)})
	}
	limit := 0.0
	for i := range v.Findings {
		for _, r := range v.Findings[i].Reasons {
			if r.Code == "many_networks" && (limit == 0 || r.Threshold < limit) {
				limit = r.Threshold
			}
		}
	}
	if limit > 0 {
		d.Note = v.lang.Sprintf("Not drawn: the limit of the detectors, %d different mail "+
			"providers or networks within one hour. Servers of the whole period cannot be "+
			"compared with it.", int(limit))
	}
	return picture.Hosts(v.lang, d)
}

// RepliesPicture is the picture of what servers replied.
func (v *View) RepliesPicture() template.HTML {
	d := picture.RepliesData{ID: "replies"}
	kinds := map[string]picture.Kind{"servers": picture.Declared, "flagged": picture.Flagged,
		"others": picture.Other}
	for _, g := range v.Replies {
		d.Groups = append(d.Groups, picture.ReplyGroup{Kind: kinds[g.Group], Hosts: g.Hosts,
			Accepted: g.Accepted, Deferred: g.Deferred, Rejected: g.Rejected,
			Recipients: g.Recipients})
	}
	for _, l := range v.Site.Blocklists {
		d.Causes = append(d.Causes, picture.Cause{Name: l.Name, N: uint64(l.Count)})
	}
	return picture.Replies(v.lang, d)
}

// Picture is the picture of the messages of the server by hour; empty if there are few.
func (s *ServerView) Picture() template.HTML {
	if len(s.Hours) < fewHours || s.Hidden() { // a sentence says so
		return ""
	}
	d := picture.ServerData{ID: "server-" + s.IP.String(), Zone: s.zone, Name: s.IP.String()}
	for _, h := range s.Hours {
		d.Hours = append(d.Hours, picture.ServerHour{At: s.at(h.At), N: h.N, Known: h.Known,
			Usual: h.Usual, Z: h.Z})
	}
	return picture.Server(s.lang, d)
}

// fewHours are too few for a picture by hour.
const fewHours = 3

// HoursPicture is the picture of the attempts of the host by hour; empty if there are few.
func (h *HostView) HoursPicture() template.HTML {
	if len(h.Hours) < fewHours {
		return ""
	}
	d := picture.HoursData{ID: "hours-" + h.IP.String(), Zone: h.zone, Name: h.IP.String()}
	for _, x := range h.Hours {
		d.Hours = append(d.Hours, picture.HourCount{At: h.at(x.At), N: uint64(x.N)})
	}
	return picture.Hours(h.lang, d)
}

// HoursPicture is that of the host of the finding.
func (c *Card) HoursPicture() template.HTML { return c.Machine().HoursPicture() }

// LifePicture is the picture of what became of the finding.
func (c *Card) LifePicture() template.HTML {
	d := picture.LifeData{ID: fmt.Sprintf("life-%d", c.Number), Zone: c.zone,
		Name: c.IP.String() + " " + c.lang.Sentence(c.Title), To: c.at(c.End)}
	level := ""
	for i, s := range c.Story {
		if i == len(c.Story)-1 && i > 0 && (c.CloseReason == "end_of_input" ||
			c.CloseReason == "shutdown") {
			break // nothing happened to the finding: the observation ended
		}
		if s.Action == "updated" && s.Level == level {
			continue // it was confirmed by more of the same
		}
		level = s.Level
		d.Steps = append(d.Steps, picture.Step{At: c.at(s.At), Action: s.Action, Level: s.Level})
	}
	for _, p := range c.Periods {
		d.Signs = append(d.Signs, picture.Interval{From: c.at(p.First), To: c.at(p.Last)})
	}
	for i := range c.Proof {
		s := &c.Proof[i]
		d.Sessions = append(d.Sessions, picture.Evidence{At: c.at(s.Start), Refused: s.Code != 0,
			Label: s.Server.String()})
	}
	return picture.Life(c.lang, d)
}
