package serve

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"spamsensor/sensor/lang/langtest"
)

// TestFrenchPages: every text of the pages has a translation.
func TestFrenchPages(t *testing.T) {
	known := langtest.Translations(t, "../lang/fr")
	list := langtest.Templates(t, "page/*.html", "spamsensor", "MAC", "VLAN", "Enter", "Esc", "metrics", "api",
		"sudo", "findings", "smtp", "servers") // of keys, paths, a command and a setting
	if len(list) < 100 {
		t.Fatalf("only %d texts", len(list))
	}
	for _, s := range list {
		if _, ok := known[strings.TrimSpace(s)]; !ok {
			t.Errorf("no French for %q", s)
		}
	}
}

// TestErrorLanguage: an error for a person is in the language of the browser, or the one that was chosen; one
// for a program is English.
func TestErrorLanguage(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	url, _ := start(t, Config{Socket: socket})
	for _, c := range []struct {
		method, path, host, accept, lang, want string
		code                                   int
	}{
		{"GET", "/nix", "", "fr-CA,en;q=0.5", "fr", "cette page n'existe pas\n", 404},
		{"GET", "/nix", "", "de,en", "en", "there is no such page\n", 404},
		{"GET", "/nix?lang=fr", "", "en", "fr", "cette page n'existe pas\n", 404},
		{"GET", "/live?page=nix", "", "fr", "fr", "cette page n'existe pas\n", 404},
		{"POST", "/", "", "fr", "fr", "Ce serveur ne change rien : il accepte GET et HEAD.", 405},
		{"POST", "/api/v1/status", "", "fr", "en", "This server changes nothing", 405},
		{"GET", "/", "evil.example", "fr", "fr", "Ce serveur n'est pas connu sous ce nom :", 421},
		{"GET", "/metrics", "evil.example", "fr", "en", "This server is not known by this name", 421},
		{"GET", "/-/healthy", "evil.example", "fr", "en", "This server is not known by this name", 421},
	} {
		q := httptest.NewRequest(c.method, url+c.path, http.NoBody)
		q.RequestURI = ""
		if c.host != "" {
			q.Host = c.host
		}
		q.Header.Set("Accept-Language", c.accept)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\u00a0", " ")
		if r.StatusCode != c.code || !strings.HasPrefix(text, c.want) || r.Header.Get("Content-Language") != c.lang ||
			(c.lang == "fr") != (strings.Contains(r.Header.Get("Vary"), "Accept-Language")) && c.accept == "fr" {
			t.Errorf("%+v: %d %q %v", c, r.StatusCode, text, r.Header)
		}
	}
}
