package page

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// maxViewers limits the viewers whose page is live. Others reload.
	maxViewers = 20
	// lookEvery is how often it is seen whether the page has changed.
	lookEvery = 2 * time.Second
	// beatEvery is how often an unchanged page is confirmed, so that the viewer knows that ferry
	// is there, and ferry that the viewer is.
	beatEvery = 10 * time.Second
	// writeWait limits the writing of one event. A viewer who does not read is dropped.
	writeWait = 5 * time.Second
	// viewFor ends a stream: the browser asks again, and its key is checked again.
	viewFor = 10 * time.Minute
)

// events tells a viewer when the page has changed, until the viewer leaves or ferry stops.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	select {
	case p.viewers <- struct{}{}:
		defer func() { <-p.viewers }()
	default:
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many viewers; the page works without events", http.StatusServiceUnavailable)
		return
	}
	stream := http.NewResponseController(w)
	// The limits of the server are for requests that end.
	if err := stream.SetReadDeadline(time.Time{}); err != nil {
		p.failed(w, fmt.Errorf("events: %w", err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	send := func(text string) bool {
		if stream.SetWriteDeadline(time.Now().Add(writeWait)) != nil {
			return false
		}
		_, err := w.Write([]byte(text))
		return err == nil && stream.Flush() == nil
	}
	look, beat, end := time.NewTicker(lookEvery), time.NewTicker(beatEvery), time.NewTimer(viewFor)
	defer look.Stop()
	defer beat.Stop()
	defer end.Stop()
	for seen := ""; ; {
		now, err := p.render(r.Context())
		if err == nil && now.digest != seen {
			seen = now.digest
			if !send("event: changed\ndata: " + seen + "\n\n") {
				return
			}
		}
		select {
		case <-look.C:
		case <-beat.C:
			if !send("event: beat\ndata: " + seen + "\n\n") {
				return
			}
		case <-end.C:
			return
		case <-p.closed:
			return
		case <-r.Context().Done():
			return
		}
	}
}
