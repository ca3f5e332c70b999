// Package otlptest is an OpenTelemetry collector for tests. It receives traces by OTLP over HTTP
// (protobuf) and over gRPC, and keeps them.
package otlptest

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is a received span. Ids are in hex.
type Span struct {
	Service, Name, Kind string
	Trace, ID, Parent   string
	Attributes          map[string]string
	// Links are the ids of the spans that it is linked to.
	Links  []string
	Failed bool
	// Events is how many events it has.
	Events int
}

// Collector receives traces until the test ends. It is safe for concurrent use.
type Collector struct {
	collector.UnimplementedTraceServiceServer

	http, grpc string

	mu      sync.Mutex
	spans   []Span
	raw     map[string][]byte
	hanging chan struct{} // nil: it answers
	waiting int
}

// Run starts a collector that lasts as long as the test.
func Run(tb testing.TB) *Collector {
	tb.Helper()
	c := &Collector{raw: map[string][]byte{}}
	web := httptest.NewServer(http.HandlerFunc(c.serveHTTP))
	c.http = web.URL
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c.grpc = "http://" + listener.Addr().String()
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	tb.Cleanup(func() {
		c.Answer()
		web.Close()
		server.Stop()
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})
	return c
}

// URL is the address for OTLP over HTTP, without a path.
func (c *Collector) URL() string { return c.http }

// GRPC is the address for OTLP over gRPC.
func (c *Collector) GRPC() string { return c.grpc }

// Spans returns what was received so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Raw returns everything that was received from a service, as protobuf.
func (c *Collector) Raw(service string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.raw[service])
}

// Hang lets requests wait until Answer is called, or their client goes away.
func (c *Collector) Hang() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hanging == nil {
		c.hanging = make(chan struct{})
	}
}

// Answer ends Hang.
func (c *Collector) Answer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hanging != nil {
		close(c.hanging)
		c.hanging = nil
	}
}

// Waiting is how many requests have waited since the start.
func (c *Collector) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// wait waits while the collector hangs.
func (c *Collector) wait(ctx context.Context) error {
	c.mu.Lock()
	hanging := c.hanging
	if hanging != nil {
		c.waiting++
	}
	c.mu.Unlock()
	if hanging == nil {
		return nil
	}
	select {
	case <-hanging:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Collector) serveHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	text, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(text, &request) != nil {
		http.Error(w, fmt.Sprintf("%s: no traces: %v", r.URL.Path, err), http.StatusBadRequest)
		return
	}
	answer, err := c.Export(r.Context(), &request)
	if err != nil {
		return
	}
	text, _ = proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(text)
}

// Export implements the gRPC service.
func (c *Collector) Export(ctx context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		service := values(resource.GetResource().GetAttributes())["service.name"]
		text, err := proto.Marshal(resource)
		if err != nil {
			return nil, err
		}
		c.raw[service] = append(c.raw[service], text...)
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					Service: service, Name: s.GetName(), Kind: s.GetKind().String(), Trace: hex.EncodeToString(s.GetTraceId()),
					ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
					Attributes: values(s.GetAttributes()), Failed: s.GetStatus().GetCode() == 2, Events: len(s.GetEvents()),
				}
				for _, link := range s.GetLinks() {
					span.Links = append(span.Links, hex.EncodeToString(link.GetSpanId()))
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// values are the attributes as texts.
func values(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		default:
			all[a.GetKey()] = a.GetValue().String()
		}
	}
	return all
}
