// Package refusal reads what a mail server's refusal says: why the server refused ([Classify]), which
// blocklist and which address its text names ([ParseCitation]). It knows no host and keeps nothing.
package refusal
