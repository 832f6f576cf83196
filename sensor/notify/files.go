package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"spamsensor/sensor/durable"
)

// writeJSON replaces a file by a value as JSON.
func writeJSON(name string, v any, mode fs.FileMode) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.Replace(name, append(b, '\n'), mode)
}

// readJSON reads a file of at most limit bytes. It reports false if there is none.
func readJSON(name string, limit int64, v any) (bool, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return false, fmt.Errorf("%s is no file of at most %d bytes", name, limit)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(b, v)
}
