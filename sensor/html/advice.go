package html

import "spamsensor/sensor/lang"

// foldedSteps are how many steps are worth folding.
const foldedSteps = 2

// StepGroup are steps of the advice that follow each other. Same is the number of an earlier
// finding with the same steps: then they are folded.
type StepGroup struct {
	First, Last int // numbers of the steps
	Same        int
	Steps       []string
}

// Fold has findings that are shown one after the other tell each step of their advice once: a later
// one refers to the first with this step.
func Fold(cards []*Card) {
	told := map[string]int{}
	for _, c := range cards {
		c.same = map[string]int{}
		for _, step := range c.steps() {
			if told[step] == 0 {
				told[step] = c.Number
			} else if told[step] != c.Number {
				c.same[step] = told[step]
			}
		}
	}
}

// steps are the sentences of the advice.
func (c *Card) steps() []string { return lang.Sentences(c.lang.Sentence(c.Advice)) }

// StepGroups are the steps of the advice.
func (c *Card) StepGroups() (groups []StepGroup) {
	steps := c.steps()
	add := func(g StepGroup) {
		if g.Last-g.First+1 < foldedSteps {
			g.Same = 0
		}
		if n := len(groups) - 1; n >= 0 && groups[n].Same == 0 && g.Same == 0 {
			groups[n].Last = g.Last
			groups[n].Steps = append(groups[n].Steps, g.Steps...)
			return
		}
		groups = append(groups, g)
	}
	for i := 0; i < len(steps); {
		same, end := c.same[steps[i]], i+1
		for end < len(steps) && c.same[steps[end]] == same {
			end++
		}
		add(StepGroup{i + 1, end, same, steps[i:end:end]})
		i = end
	}
	return groups
}
