// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"ethertap/interp"
	"ethertap/lib/keys"
)

// page is one of the pages that Tab goes through.
type page int

const (
	overviewPage page = iota
	sendersPage
	typesPage
	tapPage
	countersPage
	eventsPage
	pages
)

var pageNames = [pages]string{"Overview", "Senders", "Types", "Tap", "Counters", "Events"}

// model implements tea.Model. All of it belongs to the goroutine of the program.
type model struct {
	ask   Ask
	ticks <-chan time.Time
	state *state
	style styles

	width, height int
	page          page
	scroll        int    // rows of the page's list above the screen
	shown         string // which rows are, if not all
	order         int    // of the senders and types, in orders
	filter        string
	typing        bool // keys change the filter

	paused  bool
	waiting []figures // read while paused
	reading bool      // a look is under way
	missed  int       // ticks during that look
	problem string    // why the last look failed
}

// Messages to the model, besides keys and sizes.
type (
	tickMsg struct{}
	lookMsg struct {
		figures
		err error
	}
	tablesMsg struct {
		tables
		err error
	}
)

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return tea.Batch(m.look(), m.tick()) }

// tick waits for the time of the next look.
func (m *model) tick() tea.Cmd {
	return func() tea.Msg {
		<-m.ticks
		return tickMsg{}
	}
}

// look reads the figures and the tables of the page. There is only one look at a time.
func (m *model) look() tea.Cmd {
	m.reading = true
	ask := m.ask
	senders, types := m.shownTables()
	return func() tea.Msg {
		f, err := read(ask, senders, types)
		return lookMsg{f, err}
	}
}

// lookAtTables reads the tables of a page that was turned to.
func (m *model) lookAtTables() tea.Cmd {
	senders, types := m.shownTables()
	if m.reading || m.paused || !senders && !types {
		return nil
	}
	m.reading = true
	ask, interfaces := m.ask, len(m.state.now.Stats.Interfaces)
	return func() tea.Msg {
		t, err := readTables(ask, interfaces, senders, types)
		return tablesMsg{t, err}
	}
}

func (m *model) shownTables() (senders, types bool) {
	return m.page == overviewPage || m.page == sendersPage, m.page == typesPage
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tickMsg:
		if m.reading {
			m.missed++
			return m, m.tick()
		}
		return m, tea.Batch(m.look(), m.tick())
	case lookMsg:
		return m, m.after(func() { m.looked(msg) })
	case tablesMsg:
		return m, m.after(func() {
			if msg.err == nil && !m.paused { // the next look reports an error
				m.state.takeTables(msg.tables)
			}
		})
	case keys.Key:
		return m, m.press(msg)
	}
	return m, nil
}

// after ends a look: it calls take, and begins the next look if its tick has passed.
func (m *model) after(take func()) tea.Cmd {
	late := m.missed > 0
	m.reading, m.missed = false, 0
	take()
	if late {
		return m.look()
	}
	return nil
}

func (m *model) looked(l lookMsg) {
	switch was := m.problem; {
	case l.err != nil:
		m.problem = interp.Printable(l.err.Error())
		if was == "" && m.state.known {
			m.state.happened(true, m.state.now.Time.Add(time.Second), "no answer: %s", m.problem)
		}
		return
	case was != "":
		m.problem = ""
		m.state.happened(false, l.Time, "it answers again")
	}
	if !m.paused {
		m.state.take(l.figures)
		return
	}
	if len(m.waiting) < kept {
		l.tables = tables{} // they would take much memory
		m.waiting = append(m.waiting, l.figures)
	}
}

// press handles a key.
func (m *model) press(key keys.Key) tea.Cmd {
	if m.typing {
		m.edit(key)
		return nil
	}
	switch key {
	case "q", "Q", "ctrl-c", "ctrl-d":
		return tea.Quit
	case "tab", "right":
		return m.turn(1)
	case "shift-tab", "left":
		return m.turn(-1)
	case "p", "P", " ":
		m.pause()
	case "s", "S":
		m.order = (m.order + 1) % len(orders)
	case "/":
		m.typing = true
	case "escape":
		m.filter = ""
	case "up":
		m.scroll--
	case "down":
		m.scroll++
	case "page-up":
		m.scroll -= max(m.height-6, 1)
	case "page-down":
		m.scroll += max(m.height-6, 1)
	case "home":
		m.scroll = 0
	case "end":
		m.scroll = 1 << 30
	default:
		if n := int(key[0] - '1'); len(key) == 1 && n >= 0 && n < int(pages) {
			return m.turn(n - int(m.page))
		}
	}
	return nil
}

// turn changes the page and reads its tables at once.
func (m *model) turn(by int) tea.Cmd {
	m.page = (m.page + page(by) + pages) % pages
	m.scroll = 0
	return m.lookAtTables()
}

// pause stops the picture, or continues it with the figures that were read meanwhile.
func (m *model) pause() {
	m.paused = !m.paused
	if !m.paused {
		for _, f := range m.waiting {
			m.state.take(f)
		}
		m.waiting = nil
	}
}

// edit changes the filter.
func (m *model) edit(key keys.Key) {
	switch key {
	case "enter":
		m.typing = false
	case "escape", "ctrl-c":
		m.typing, m.filter = false, ""
	case "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	default:
		if r := []rune(string(key)); len(r) == 1 && len(m.filter) < 64 {
			m.filter += string(key)
		}
	}
	m.scroll = 0
}

// passes tells whether a row with these texts is shown.
func (m *model) passes(texts ...string) bool {
	return m.filter == "" || strings.Contains(strings.ToLower(strings.Join(texts, " ")), strings.ToLower(m.filter))
}

// View implements tea.Model.
func (m *model) View() tea.View {
	m.shown = ""
	body := m.body()
	lines := append([]string{m.title(), m.ends(m.tabs(), m.style.dim.Render(m.shown))}, body...)
	room := max(m.height-1, 1)
	for len(lines) < room {
		lines = append(lines, "")
	}
	lines = append(lines[:room], m.keys())
	for i := range lines {
		lines[i] = cut(lines[i], m.width)
	}
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen, v.DisableBracketedPasteMode = true, true
	if m.typing {
		v.Cursor = tea.NewCursor(min(len("filter: ")+len([]rune(m.filter)), m.width-1), len(lines)-1)
	}
	return v
}

// body is the page between the tabs and the keys.
func (m *model) body() []string {
	if !m.state.known {
		if m.problem != "" {
			return []string{"", m.style.bad.Render(m.problem)}
		}
		return nil
	}
	rows := max(m.height-3, 1)
	switch m.page {
	case sendersPage:
		return m.listed(m.senderLines(), rows)
	case typesPage:
		return m.listed(m.typeLines(), rows)
	case tapPage:
		return m.tapLines()
	case countersPage:
		return m.listed(m.counterLines(), rows)
	case eventsPage:
		return m.listed(m.eventLines(), rows)
	}
	return m.overview(rows)
}

// title shows the name of the ethertap, its state, and the time of the figures.
func (m *model) title() string {
	s := m.state
	if !s.known {
		return m.style.title.Render("ethertap")
	}
	left := m.style.title.Render("ethertap "+interp.Printable(s.now.Instance)) + "  "
	doing := s.now.doing()
	if s.now.State == "running" && s.now.Waiting == "" {
		left += m.style.good.Render(doing)
	} else {
		left += m.style.bad.Render(doing)
	}
	right := s.now.Time.Format("15:04:05")
	switch {
	case m.paused:
		right = m.style.bad.Render("paused") + "  " + right
	case m.problem != "":
		right = m.style.bad.Render("no answer: "+m.problem) + "  " + right
	case m.missed > 1:
		right = m.style.bad.Render(fmt.Sprintf("no answer for %d s", m.missed)) + "  " + right
	}
	return m.ends(left, right)
}

// doing returns the state of an ethertap, and what it waits for.
func (f *figures) doing() string {
	text := f.State
	if f.Waiting != "" {
		text += ": " + interp.Printable(f.Waiting)
	}
	return text
}

// tabs shows the names of the pages, with the current one in brackets.
func (m *model) tabs() string {
	var b strings.Builder
	for i, name := range pageNames {
		if page(i) == m.page {
			b.WriteString(m.style.title.Render("["+name+"]") + " ")
		} else {
			b.WriteString(m.style.dim.Render(" "+name+" ") + " ")
		}
	}
	return b.String()
}

// keys shows the keys of the view, or the filter while it is typed.
func (m *model) keys() string {
	if m.typing {
		return "filter: " + m.filter + pad("", 4) + m.style.dim.Render("Enter keeps it, Escape drops it")
	}
	pause := "pause"
	if m.paused {
		pause = "go on"
	}
	all := [][2]string{{"Tab", "page"}, {"p", pause}, {"s", "by " + orders[m.order].name}, {"/", "filter"}, {"↑↓", "scroll"}, {"q", "leave"}}
	var b strings.Builder
	for _, k := range all {
		b.WriteString(m.style.key.Render(k[0]) + " " + m.style.dim.Render(k[1]) + "  ")
	}
	if m.filter != "" {
		b.WriteString(m.style.bad.Render("filter: " + m.filter))
	}
	return b.String()
}
