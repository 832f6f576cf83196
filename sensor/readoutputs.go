package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"spamsensor/sensor/durable"
	"spamsensor/sensor/html"
	"spamsensor/sensor/report"
)

// outputs are the files that read writes.
func (o *readOptions) outputs() []namedOutput {
	return []namedOutput{{"events", "--events", o.events}, {"HTML", "--html", o.html},
		{"JSON", "--json", o.json}, {"CSV", "--csv", o.csv},
		{"sessions", "--sessions-csv", o.only.sessionsCSV}}
}

// stdoutTaken reports whether an output goes to standard output.
func (o *readOptions) stdoutTaken() bool {
	for _, x := range o.outputs() {
		if x.name == "-" {
			return true
		}
	}
	return false
}

// checkOutputs checks the outputs of read before anything is opened for writing. The files of
// reports are replaced: also the names of their new files are checked.
func (o *readOptions) checkOutputs(protected *protectedFiles, streams ...io.Writer) error {
	list := o.outputs()
	if err := protected.checkOutputs(list, streams...); err != nil {
		return err
	}
	for _, x := range list[1:] { // openEvents checks its own
		if x.name == "" || x.name == "-" {
			continue
		}
		if _, _, err := target(x.name, protected.check); err != nil {
			return err
		}
	}
	return nil
}

// target is the file that a name leads to, and whether it is replaced: a device or a named pipe is
// written to.
func target(name string, check outputCheck) (path string, replace bool, err error) {
	at, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(name)); err != nil {
			return "", false, exit(exitFailed, fmt.Errorf("cannot write a report: %w", err))
		}
	case err != nil:
		return "", false, exit(exitFailed, fmt.Errorf("cannot write a report: %w", err))
	default:
		if err := check(name, at); err != nil {
			return "", false, err
		}
		switch mode := at.Mode(); {
		case mode.IsDir(), mode&fs.ModeSocket != 0,
			mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
			return "", false, refuseOutput(name, "it is no file")
		case !mode.IsRegular():
			return name, false, nil
		}
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return "", false, exit(exitFailed, fmt.Errorf("cannot write a report: %w", err))
		}
	}
	if at, err := os.Stat(name + durable.Suffix); err == nil {
		if err := check(name+durable.Suffix, at); err != nil {
			return "", false, err
		}
	}
	return name, true, nil
}

// writeReports writes the reports of a run: files first, so that the one on the terminal comes
// last. A file that fails keeps no other from being written.
func (a *app) writeReports(m *report.Model, o *readOptions, protected *protectedFiles) error {
	var failed []error
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{o.html, func(w io.Writer) error {
			return html.New(a.printer()).Report(w, m, html.Options{Zone: time.Local})
		}},
		{o.json, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", " ")
			return e.Encode(m)
		}},
		{o.csv, m.CSV},
		{o.only.sessionsCSV, m.SessionsCSV},
	} {
		if f.name != "" {
			failed = append(failed, a.writeOutput(f.name, f.write, protected.check))
		}
	}
	if err := a.printReport(m, o.stdoutTaken()); err != nil {
		failed = append(failed, fmt.Errorf("the report is not whole: %w", err))
	}
	return errors.Join(failed...)
}

// writeOutput writes a file as a whole, or to standard output.
func (a *app) writeOutput(name string, write func(io.Writer) error, check outputCheck) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if name == "-" {
		_, err := a.stdout.Write(b.Bytes())
		return err
	}
	path, replace, err := target(name, check)
	if err != nil {
		return err
	}
	if replace {
		err = durable.Replace(path, b.Bytes(), 0o640)
	} else {
		err = writeTo(path, b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", printable(name), err)
	}
	return nil
}

// writeTo writes to a device or a named pipe. A pipe may lack a reader for a while, and its reader
// may stop reading for as long as again: neither keeps the command from ending.
func writeTo(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	for end := time.Now().Add(pipeReaderWait); errors.Is(err, syscall.ENXIO) &&
		time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
		f, err = os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return err
	}
	f.SetWriteDeadline(time.Now().Add(pipeReaderWait)) // a device may have none
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// printReport prints the report to standard output, or to standard error when another output goes
// to standard output. It returns the first error of writing.
func (a *app) printReport(m *report.Model, stdoutTaken bool) error {
	if a.opt.quiet {
		return nil
	}
	out := a.stdout
	if stdoutTaken {
		out = a.stderr
	}
	w := &errWriter{w: out}
	m.Text(w, report.Options{Color: a.useColor(out), Width: terminalWidth(out),
		All: a.opt.verbose > 0, Zone: time.Local, Lang: a.printer()})
	return w.err
}
