package detect

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := DefaultConfig()
	bad.Alpha, bad.ManyNetworks, bad.HeloNames = 2, 1, 99
	err := bad.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three faults, got: %v", err)
	}
}
