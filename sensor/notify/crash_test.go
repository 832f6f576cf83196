package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// childVariable has the directory and the URL of a child process of TestKill.
const childVariable = "NOTIFY_TEST_CHILD"

// childMain is a service in a process of its own. It ends with a kill.
func childMain() {
	dir, url, _ := strings.Cut(os.Getenv(childVariable), " ")
	s, err := New(Config{Events: filepath.Join(dir, "events.json"), Outbox: filepath.Join(dir, "outbox"), Host: "sensor1",
		Channels: []Channel{{Name: "webhook", Kind: "webhook", Server: url}},
		Limits:   Limits{Group: time.Millisecond, PerHour: 1000000, Weekly: Weekly{Off: true}}})
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	s.Run(context.Background())
}

// TestKill kills the service again and again, some of the times while the server has a message and
// has not answered yet: every finding is told at least once.
func TestKill(t *testing.T) {
	var mu sync.Mutex
	told, messages := map[string]int{}, 0
	kill := make(chan struct{}, 1)
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			Events []struct{ Finding struct{ ID string } }
		}
		json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		defer mu.Unlock()
		messages++
		for _, e := range body.Events {
			told[e.Finding.ID]++
		}
		if messages%3 == 0 { // the child dies between the delivery and the end of the message
			select {
			case kill <- struct{}{}:
				time.Sleep(20 * time.Millisecond)
			default:
			}
		}
	}))
	defer h.Close()
	dir := t.TempDir()
	events, err := os.Create(filepath.Join(dir, "events.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	start := func() *exec.Cmd {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childVariable+"="+dir+" "+h.URL)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if l, err := bufio.NewReader(out).ReadString('\n'); l != "ready\n" {
			t.Fatal(l, err)
		}
		return c
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var want []string
	const rounds = 8
	for i := range rounds {
		c := start()
		for j := range 5 {
			host := fmt.Sprintf("10.%d.%d.1", i, j)
			want = append(want, "spambot-"+host)
			fmt.Fprintln(events, findingLine(len(want), host, "spambot", "confirmed", "opened", ""))
		}
		select {
		case <-kill:
		case <-time.After(time.Duration(rnd.IntN(700)) * time.Millisecond):
		}
		c.Process.Kill()
		c.Wait()
	}
	c := start()
	defer func() {
		c.Process.Kill()
		c.Wait()
	}()
	missing := func() (list []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range want {
			if told[id] == 0 {
				list = append(list, id)
			}
		}
		return list
	}
	for range 50 {
		if len(missing()) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if list := missing(); len(list) > 0 {
		t.Errorf("lost: %s", strings.Join(list, " "))
	}
	mu.Lock()
	defer mu.Unlock()
	repeated := 0
	for _, n := range told {
		repeated += n - 1
	}
	t.Logf("%d findings, %d kills, %d messages, %d told again", len(want), rounds, messages, repeated)
}
