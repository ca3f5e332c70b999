package config

import (
	"os"
	"slices"
	"strings"
)

// Traces say whether and how ferry sends traces. The variables are those of the OpenTelemetry
// specification, so they have no prefix; the OpenTelemetry libraries read the others.
type Traces struct {
	// On is true if OTEL_TRACES_EXPORTER is otlp, or if it is not set and the environment names
	// a collector. OTEL_SDK_DISABLED=true switches it off.
	On bool
	// GRPC sends them over gRPC instead of HTTP.
	GRPC bool
}

// The values of the variables.
const (
	exporterOTLP = "otlp"
	exporterNone = "none"
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// otel returns the value of the first of the variables that is set. By the specification, an
// empty value counts as not set.
func otel(names ...string) (name, value string) {
	for _, name = range names {
		if value = strings.TrimSpace(os.Getenv(name)); value != "" {
			break
		}
	}
	return name, value
}

// loadTraces reads the variables about traces.
func (c *Config) loadTraces() (faults Faults) {
	exporterName, exporter := otel("OTEL_TRACES_EXPORTER")
	protocolName, protocol := otel("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	_, collector := otel("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	_, disabled := otel("OTEL_SDK_DISABLED")
	if strings.EqualFold(disabled, "true") {
		return nil
	}
	if !slices.Contains([]string{"", exporterNone, exporterOTLP}, exporter) {
		faults = append(faults, Fault{exporterName, "must be otlp or none"})
	}
	c.Traces.On = exporter == exporterOTLP || exporter == "" && collector != ""
	if c.Traces.On && !slices.Contains([]string{"", protocolGRPC, protocolHTTP}, protocol) {
		faults = append(faults, Fault{protocolName, "must be http/protobuf or grpc"})
	}
	c.Traces.GRPC = protocol == protocolGRPC
	return faults
}
