package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"spamsensor/sensor/report"
)

// A report names the settings and the sums of the inputs, so that it can be made again.

// settings are the options that the result of `read` depends on.
func (o *options) settings() (list []string) {
	add := func(name string, values ...string) {
		for _, v := range values {
			list = append(list, name+" "+printable(v))
		}
	}
	if o.file != "" {
		add("--config", o.file)
	}
	add("--set", o.set...)
	add("--home", o.home...)
	add("--mail-server", o.mailServers...)
	add("--local-domain", o.localDomains...)
	return list
}

// Files are read a second time for their sums: 16 MiB take 10 ms. Larger ones have a sum with -v.
const (
	maxSummed     = 16 << 20
	maxSummedFile = 100 // files
)

// sumsOf are the SHA-256 sums of the regular files among the inputs. Without all, large files have
// none.
func sumsOf(names []string, all bool) (sums []report.Sum) {
	left := int64(maxSummed)
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || len(sums) == maxSummedFile ||
			!all && info.Size() > left {
			continue
		}
		left -= info.Size()
		if sum, err := sumOf(name); err == nil {
			sums = append(sums, report.Sum{Name: printable(name), SHA256: sum})
		}
	}
	return sums
}

// sumOf is the SHA-256 of a file.
func sumOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
