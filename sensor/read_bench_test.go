package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkRead reads each file of SPAMSENSOR_BENCH_FILES (paths with blanks between) with one
// worker and writes the events to nowhere. make profile takes the profile for the compiler from it.
func BenchmarkRead(b *testing.B) {
	files := strings.Fields(os.Getenv("SPAMSENSOR_BENCH_FILES"))
	if len(files) == 0 {
		b.Skip("SPAMSENSOR_BENCH_FILES names no file")
	}
	for _, file := range files {
		b.Run(filepath.Base(file), func(b *testing.B) {
			args := []string{"read", "-q", "--workers", "1", "--events", os.DevNull, file}
			for b.Loop() {
				if code := run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr); code != exitOK {
					b.Fatal("exit code", code)
				}
			}
		})
	}
}
