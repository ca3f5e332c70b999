package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/config"
)

// TestStopEnds: Stop ends although a login, the profiles, the background work and the state hang.
func TestStopEnds(t *testing.T) {
	t.Parallel()
	hang, arrived, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	core, logs := observer.New(zap.InfoLevel)
	s := &server{
		cfg: &config.Config{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0"}, log: zap.New(core), failed: make(chan error, 2),
		background: []func(context.Context){func(context.Context) { <-hang }},
		drain:      func(ctx context.Context) { <-ctx.Done() },
		close: func() error {
			<-hang
			return nil
		},
	}
	s.hooks = s.httpServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-hang
	}))
	s.admin = s.httpServer(http.NotFoundHandler())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(answered)
		if resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + s.hooksAt); err == nil {
			_ = resp.Body.Close()
			t.Error("the login was answered")
		}
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // in place of the budget
	defer cancel()
	s.Stop(ctx)
	for _, want := range []string{"closed connections that did not end in time", "background work did not end in time", "the state did not close in time", "stopped"} {
		if logs.FilterMessage(want).Len() != 1 {
			t.Errorf("%q is not in the log: %v", want, logs.All())
		}
	}
	<-answered
	close(hang)
	s.running.Wait()
}
