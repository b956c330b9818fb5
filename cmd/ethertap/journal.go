// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"sync"
	"time"

	"ethertap/interp"
	"ethertap/words/report"
)

// journalLines is the number of lines that a journal keeps.
const journalLines = 500

// journal keeps the last lines of the log, for the word log.show. The zero value is ready to use.
type journal struct {
	mu      sync.Mutex
	lines   []journalLine // the oldest first
	dropped int           // lines that are not kept any more
}

type journalLine struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

func (j *journal) add(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) == journalLines {
		j.lines = slices.Delete(j.lines, 0, 1)
		j.dropped++
	}
	j.lines = append(j.lines, journalLine{time.Now(), text})
}

// journalView is what log.show shows.
type journalView struct {
	Dropped int           `json:"dropped"` // lines before these, which are not kept
	Lines   []journalLine `json:"lines"`   // the oldest first
}

func (j *journal) view() journalView {
	j.mu.Lock()
	defer j.mu.Unlock()
	return journalView{j.dropped, append([]journalLine{}, j.lines...)}
}

func (p *program) logWords() []interp.Word {
	return report.Pair[journalView]{
		Name: "log.show", Stack: "( - )", Help: "show what ethertap has said of interfaces, bypass, queues and control since its start", Example: "log.show",
		Get: func(*interp.Session) (journalView, error) { return p.journal.view(), nil },
		Text: func(s *interp.Session, v journalView) {
			if v.Dropped > 0 {
				s.Printf("%d older lines are not kept\n", v.Dropped)
			}
			for _, l := range v.Lines {
				s.Printf("%s %s\n", l.Time.Format("2006-01-02 15:04:05"), l.Text)
			}
		},
	}.Words(report.Source{Instance: p.name})
}
