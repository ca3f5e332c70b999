package gen

import "slices"

// queue holds the rows of cards until they are due.
type queue struct {
	rows []queued
}

type queued struct {
	row row
	due int // how many rows come before it
}

// add takes the further rows of a card whose first row is the nth.
func (q *queue) add(rows []row, n int) {
	due := n
	for _, r := range rows {
		due += 1 + r.wait
		q.rows = append(q.rows, queued{r, due})
	}
}

// next returns a row that is due after n rows. With must, it returns the next row in any
// case.
func (q *queue) next(n int, must bool) (row, bool) {
	best := -1
	for i, waiting := range q.rows {
		if best < 0 || waiting.due < q.rows[best].due {
			best = i
		}
	}
	if best < 0 || !must && q.rows[best].due > n {
		return row{}, false
	}
	r := q.rows[best].row
	q.rows = slices.Delete(q.rows, best, best+1)
	return r, true
}

// deal deals a card of at most room rows. The very first row is a plain one, because the
// first byte of a file decides its type.
func (m *maker) deal(first bool, room int) []row {
	if first {
		return one((*maker).freshHash)(m, "db_hash")
	}
	if len(m.deck) == 0 {
		for _, c := range cards() {
			for range c.weight {
				m.deck = append(m.deck, c)
			}
		}
		m.rng.Shuffle(len(m.deck), func(i, j int) { m.deck[i], m.deck[j] = m.deck[j], m.deck[i] })
	}
	c := m.deck[len(m.deck)-1]
	m.deck = m.deck[:len(m.deck)-1]
	if rows := c.deal(m, c.kind); len(rows) <= room {
		return rows
	}
	return one((*maker).noHash)(m, "db_pending")
}

// rows yields n rows, one after the other, until yield says false.
func (m *maker) rows(n int, yield func(row) bool) {
	var waiting queue
	for done := 0; done < n; done++ {
		room := n - done - len(waiting.rows)
		r, ok := waiting.next(done, room <= 0)
		if !ok {
			dealt := m.deal(done == 0, room)
			r = dealt[0]
			waiting.add(dealt[1:], done)
		}
		if !yield(r) {
			return
		}
	}
}
