package picture

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
)

// measure writes which texts overlap or leave the page, for a frame of each width.
const measure = `<pre id="out"></pre><script>
addEventListener("load", () => {
  const out = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const doc = frame.contentDocument, width = frame.clientWidth;
    const say = (figure, text) => out.push(width + " " + figure.id + ": " + text);
    for (const d of doc.querySelectorAll("details")) d.open = true;
    if (doc.documentElement.scrollWidth > width) out.push(width + ": the page is " + doc.documentElement.scrollWidth + " wide");
    for (const figure of doc.querySelectorAll("figure")) {
      const boxes = [];
      for (const e of figure.querySelectorAll("figcaption, li, summary, p, svg text")) {
        const b = e.getBoundingClientRect(), text = e.textContent.slice(0, 40);
        if (b.width === 0) continue;
        if (b.left < 0 || b.right > width + 0.5) say(figure, "«" + text + "» goes from " + b.left + " to " + b.right);
        if (e.localName !== "text") continue;
        for (const o of boxes)
          if (b.left + 0.5 < o.b.right && o.b.left + 0.5 < b.right && b.top + 3 < o.b.bottom && o.b.top + 3 < b.bottom)
            say(figure, "«" + text + "» overlaps «" + o.text + "»");
        boxes.push({b, text});
      }
    }
    out.push(width + ": " + doc.querySelectorAll("figure svg text").length + " texts");
  }
  document.getElementById("out").textContent = out.join("\n");
});
</script>`

// TestBoxes has a browser draw the pictures, and checks that no text overlaps another or is cut, on
// a telephone and on wide screens.
func TestBoxes(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	for _, l := range []string{lang.English, lang.French} {
		p := lang.New(l)
		var b strings.Builder
		for i, d := range append(crowded(), small()) {
			d.ids(fmt.Sprint(l, i))
			all := pictures(p, d)
			for _, name := range []string{"attempts", "hosts", "server", "replies", "hours", "life"} {
				b.WriteString(string(all[name]))
			}
		}
		page := `<!doctype html><meta charset="utf-8"><style>body{margin:8px;font:1rem/1.5 sans-serif}` + string(CSS) + "</style>" + b.String()
		var frames strings.Builder
		for _, width := range []int{360, 600, 760, 1280} {
			fmt.Fprintf(&frames, `<iframe width="%d" height="9000" style="border:0" srcdoc="%s"></iframe>`, width, html.EscapeString(page))
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "page.html")
		if err := os.WriteFile(path, []byte("<!doctype html><meta charset=utf-8>"+frames.String()+measure), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+dir, "--dump-dom", "file://"+path).Output()
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?s)<pre id="out">(.*?)</pre>`).FindStringSubmatch(string(out))
		if m == nil {
			t.Fatalf("the browser measured nothing: %.500s", out)
		}
		lines := strings.Split(html.UnescapeString(m[1]), "\n")
		if slices.ContainsFunc(lines, func(s string) bool { return strings.HasSuffix(s, " 0 texts") }) || len(lines) < 4 {
			t.Errorf("no texts: %q", lines)
		}
		for _, line := range lines {
			if !strings.HasSuffix(line, " texts") {
				t.Errorf("%s: %s", l, line)
			}
		}
	}
}

// ids gives each picture an id of its own.
func (d *data) ids(prefix string) {
	d.attempts.ID, d.hosts.ID, d.server.ID = prefix+"attempts", prefix+"hosts", prefix+"server"
	d.replies.ID, d.hours.ID, d.life.ID = prefix+"replies", prefix+"hours", prefix+"life"
}

// crowded are data with many of everything, with hostile texts, and of odd lengths.
func crowded() (list []*data) {
	for i, text := range append(hostile, "10.20.4.37") {
		d := small()
		n := []int{1, 2, 7, 20, 45, 90, 500, 1000, 1440, 12}[i%10]
		d.attempts.Zone, d.hours.Zone = nil, nil
		if d.attempts.Width = time.Minute; i%2 == 1 {
			d.attempts.Width = time.Hour
		}
		d.attempts.Servers, d.attempts.Marks, d.hours.Hours, d.server.Hours, d.life.Steps, d.life.Sessions = nil, nil, nil, nil, nil, nil
		for j := range n {
			at := start.Add(time.Duration(j) * time.Hour)
			d.attempts.Servers = append(d.attempts.Servers, uint32(1+j*j%(1+i*997)*i*i))
			d.attempts.Marks = append(d.attempts.Marks, Mark{start.Add(time.Duration(j*j) * d.attempts.Width / time.Duration(n)), text})
			d.hours.Hours = append(d.hours.Hours, HourCount{at, uint64(j * j)})
			d.server.Hours = append(d.server.Hours, ServerHour{at, float64(j * 7 % 1000 * (1 + i*i*i)), true, 300, float64(j%9) - 4})
			d.life.Steps = append(d.life.Steps, Step{at, "updated", []string{"suspect", "likely", "confirmed"}[j%3]})
			d.life.Sessions = append(d.life.Sessions, Evidence{at, j%2 == 0, text})
		}
		d.hosts.Hosts = manyHosts(5*n, n)
		for j := range d.hosts.Hosts {
			if d.hosts.Hosts[j].Kind == Flagged && j%2 == 0 {
				d.hosts.Hosts[j].Label = text
			}
		}
		d.hosts.Note, d.server.Name, d.hours.Name, d.life.Name = text, text, text, text
		d.replies.Groups = append(d.replies.Groups, ReplyGroup{Other, n, uint64(n * n), uint64(n), uint64(n * i * i), 3})
		for j := range i {
			d.replies.Causes = append(d.replies.Causes, Cause{text, uint64(j * 1_000_000_000)})
		}
		list = append(list, d)
	}
	return list
}
