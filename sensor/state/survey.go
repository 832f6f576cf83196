package state

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// surveyResult is the state of a file.
type surveyResult struct {
	*tree
	rows    int  // good rows
	orphans int  // good rows in pages to which no page refers; some are older versions of others
	bad     int  // damaged rows
	lost    int  // rows that are missing by the stored sum; at least 1 if a row was replaced
	version byte // of the rows
}

// intact reports whether the file can be used as it is.
func (r *surveyResult) intact() bool { return !r.damaged() && r.version == historyVersion }

// damaged reports whether a part of the file is lost, or may be.
func (r *surveyResult) damaged() bool { return r.damageCount > 0 || r.bad > 0 || r.lost != 0 }

// loss describes the damage.
func (r *surveyResult) loss() error {
	text := fmt.Sprintf("the history is damaged: %d rows (a host's day each) are good", r.rows)
	switch lost := max(r.bad, r.lost); {
	case lost > 0:
		text += fmt.Sprintf(", %d are lost", lost)
	case r.damageCount > 0:
		text += ", and it is not known how many are lost"
	}
	if r.orphans > 0 {
		text += fmt.Sprintf("; %d more, some of them older, are in pages to which nothing leads",
			r.orphans)
	}
	if len(r.damage) > 0 {
		text += " (" + strings.Join(r.damage, "; ") + ")"
	}
	return errors.New(text)
}

// roots finds the bucket of rows, nil if it is missing, and reads the version and the stored sum of
// the rows; whole reports whether there is such a sum.
func (r *surveyResult) roots() (rows *element, stored digest, whole bool) {
	t := r.tree
	t.walk(t.root, 0, nil, nil, func(e *element) {
		switch {
		case e.bucket && bytes.Equal(e.key, rowBucket):
			rows = e
		case e.bucket && bytes.Equal(e.key, metaBucket):
			t.bucket(e, nil, nil, func(e *element) {
				switch {
				case bytes.Equal(e.key, versionKey):
					r.version = readVersion(e.value)
				case bytes.Equal(e.key, digestKey):
					whole = stored.read(e.value)
				}
			})
		}
	})
	return rows, stored, whole
}

// survey reads a file, and calls each, if it is not nil, for its good rows with keys in [from, to].
// Only without bounds it checks the whole file. An error means that no part of the file can be
// used.
func survey(name string, from, to []byte, each func(k []byte, r *row)) (f *surveyResult,
	err error) {
	t, err := openTree(name, lockWait)
	if err != nil {
		return nil, err
	}
	defer t.close()
	f = &surveyResult{tree: t}
	rows, stored, whole := f.roots()
	if f.version > historyVersion {
		return nil, errVersion
	}
	if rows == nil && t.damageCount == 0 {
		return nil, errNoHistory
	}
	var actual digest
	take := func(e *element) {
		var r row
		if e.bucket || len(e.key) != keyLen || r.decode(e.key, e.value, f.version == 1) != nil {
			f.bad++
			return
		}
		f.rows++
		actual.add(e.key, e.value)
		if each != nil {
			each(e.key, &r)
		}
	}
	if rows != nil {
		t.bucket(rows, from, to, take)
	}
	if from != nil || to != nil {
		return f, nil
	}
	t.checkFree()
	switch {
	case f.version != historyVersion: // version 1 has no sum; version 0 is damaged
		if f.version == 0 {
			t.addDamage("the version of the rows is damaged")
		}
	case !whole:
		t.addDamage("the sum of the rows is damaged")
	case actual != stored:
		if f.lost = int(int64(stored.rows - actual.rows)); f.lost <= 0 {
			f.lost = 1
		}
	}
	if t.damageCount > 0 || rows == nil {
		t.walkOrphans(func(e *element) {
			var r row
			if e.bucket || len(e.key) != keyLen || r.decode(e.key, e.value, false) != nil {
				return
			}
			f.orphans++
			if each != nil {
				each(e.key, &r)
			}
		})
	}
	if t.noHead && f.rows+f.orphans == 0 {
		return nil, errNoHistory
	}
	return f, nil
}
