package picture

import (
	"slices"
	"time"

	"spamsensor/sensor/lang"
)

// Marks have lines where they are in time, and labels above, side by side. Labels of marks that are
// near to each other are shifted by pixels, and joined to their lines by legs. A label that is
// apart from the next one on a telephone is so at every width: what lies between two marks grows
// with the picture, and a shift does not.
const (
	maxMarks   = 12   // texts below the picture, and about as many labels
	labelsLeft = -12. // the room of the labels, in pixels of the narrowest picture
	labelsEnd  = narrow + 10
	labelGap   = 3.
	legs       = 18 // height
)

// markView is the line and the label of a mark, or of several that are near to each other.
type markView struct {
	X, Label, Title    string
	Shift, Left, Width int     // of the label, in pixels from the line
	at                 float64 // in the narrowest picture, in pixels
	first, last        int     // numbers
}

// size gives the label its text and its width.
func (m *markView) size() {
	if m.Label = letters(m.first); m.last > m.first {
		m.Label += "–" + letters(m.last)
	}
	m.Width = 12 + 8*len([]rune(m.Label))
}

// marks draws the marks, and their texts below the picture.
func (v *attemptsView) marks(p *lang.Printer, f *figure, marks []Mark, from, to time.Time,
	zone *time.Location) {
	marks = slices.SortedStableFunc(slices.Values(marks), func(a, b Mark) int {
		return a.At.Compare(b.At)
	})
	for i, m := range marks {
		text := cut(clean(m.Label), 60) + ", " + exact(p, m.At.In(zone))
		if i < maxMarks {
			f.Marks = append(f.Marks, text)
		}
		x := min(1, max(0, m.At.Sub(from).Seconds()/to.Sub(from).Seconds()))
		view := markView{X: percent(x), at: x * narrow, first: i + 1, last: i + 1,
			Title: colon(p, letters(i+1), text)}
		view.size()
		v.Marks = append(v.Marks, view)
	}
	v.joinMarks()
	if v.spreadMarks() {
		v.Top, v.Bottom, v.Foot = v.Top+legs, v.Bottom+legs, v.Foot+legs
	}
	if more := len(marks) - maxMarks; more > 0 {
		f.Notes = append(f.Notes, p.Sprintf("Only in the picture: %s.",
			p.Plural(uint64(more), "more mark", "more marks")))
	}
}

// joinMarks gives marks a label for several of them, the nearest first, until there is room for
// all labels.
func (v *attemptsView) joinMarks() {
	for {
		width, near := -labelGap, 0
		for i := range v.Marks {
			width += float64(v.Marks[i].Width) + labelGap
			if i+1 < len(v.Marks) && v.gap(i) < v.gap(near) {
				near = i
			}
		}
		if width <= labelsEnd-labelsLeft || len(v.Marks) < 2 {
			return
		}
		m := &v.Marks[near]
		if m.first == m.last {
			m.Title += "; …"
		}
		m.last = v.Marks[near+1].last
		m.size()
		v.Marks = slices.Delete(v.Marks, near+1, near+2)
	}
}

// gap is how far a mark is from the next one. Of equal ones those with fewer marks come first.
func (v *attemptsView) gap(i int) float64 {
	a, b := &v.Marks[i], &v.Marks[i+1]
	return b.at - a.at + 1e-3*float64(b.last-a.first)
}

// spreadMarks moves labels apart, and no further than necessary; it reports whether it moved any.
func (v *attemptsView) spreadMarks() (moved bool) {
	// A block is a row of labels that touch each other. It lies where the sum of the squares of
	// their shifts is least, or at an end of the room.
	type block struct{ n, sum, width, left float64 }
	var blocks []block
	place := func(b *block) {
		b.left = min(max(b.sum/b.n, labelsLeft), labelsEnd-b.width)
	}
	for i := range v.Marks {
		m := &v.Marks[i]
		w := float64(m.Width)
		b := block{1, m.at - w/2, w, 0}
		place(&b)
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			offset := last.width + labelGap
			if last.left+offset <= b.left {
				break
			}
			blocks = blocks[:len(blocks)-1]
			b = block{last.n + b.n, last.sum + b.sum - b.n*offset, offset + b.width, 0}
			place(&b)
		}
		blocks = append(blocks, b)
	}
	next := 0
	for _, b := range blocks {
		left := b.left
		for range int(b.n) {
			m := &v.Marks[next]
			m.Shift = int(left + float64(m.Width)/2 - m.at)
			m.Left = m.Shift - m.Width/2
			moved = moved || m.Shift != 0
			left += float64(m.Width) + labelGap
			next++
		}
	}
	return moved
}

// letters name a mark: A to Z, AA, AB, and so on, as the list below the picture does. Findings have
// numbers, in another order.
func letters(n int) string {
	s := ""
	for ; n > 0; n = (n - 1) / 26 {
		s = string(rune('A'+(n-1)%26)) + s
	}
	return s
}
