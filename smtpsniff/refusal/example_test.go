package refusal_test

import (
	"fmt"

	"spamsensor/smtpsniff/refusal"
)

func ExampleParseCitation() {
	c := refusal.ParseCitation("Service unavailable; Client host [198.51.99.7] blocked using " +
		"zen.spamhaus.org; https://www.spamhaus.org/query/ip/198.51.99.7")
	fmt.Println(c.List, c.Link, c.Addrs)
	// Output: zen.spamhaus.org false [198.51.99.7]
}

func ExampleClassify() {
	for _, r := range []struct {
		code     uint16
		enhanced [3]uint16
		text     string
	}{
		{550, [3]uint16{5, 1, 1}, "5.1.1 User unknown"},
		{554, [3]uint16{5, 7, 1}, "5.7.1 blocked using zen.spamhaus.org"},
		{450, [3]uint16{4, 2, 0}, "4.2.0 Greylisted, try again later"},
	} {
		fmt.Println(r.code, refusal.Classify(r.code, r.enhanced, r.text))
	}
	// Output:
	// 550 unknown user
	// 554 on a blocklist
	// 450 greylisted
}
