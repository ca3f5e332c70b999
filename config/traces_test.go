package config_test

import (
	"errors"
	"strings"
	"testing"

	"ferry/config"
)

// TestTraces: traces are off until a variable of OpenTelemetry asks for them.
func TestTraces(t *testing.T) {
	const endpoint, exporter, protocol, disabled = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SDK_DISABLED"
	over, grpc := config.Traces{On: true}, config.Traces{On: true, GRPC: true}
	for name, c := range map[string]struct {
		set   map[string]string
		want  config.Traces
		fault string // the variable that is named
	}{
		"nothing set":              {nil, config.Traces{}, ""},
		"exporter":                 {map[string]string{exporter: "otlp"}, over, ""},
		"no exporter":              {map[string]string{exporter: "none", endpoint: "http://c:4318"}, config.Traces{}, ""},
		"empty counts as not set":  {map[string]string{exporter: "", endpoint: " ", disabled: ""}, config.Traces{}, ""},
		"collector":                {map[string]string{endpoint: "http://c:4318"}, over, ""},
		"collector for traces":     {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, over, ""},
		"grpc":                     {map[string]string{endpoint: "http://c:4317", protocol: "grpc"}, grpc, ""},
		"protocol of traces first": {map[string]string{endpoint: "http://c:4317", protocol: "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, grpc, ""},
		"disabled":                 {map[string]string{endpoint: "http://c:4318", disabled: "TRUE"}, config.Traces{}, ""},
		"another exporter":         {map[string]string{exporter: canary}, config.Traces{}, exporter},
		"another protocol":         {map[string]string{exporter: "otlp", protocol: canary}, over, protocol},
		"protocol of other things": {map[string]string{protocol: canary}, config.Traces{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.set {
				t.Setenv(variable, value)
			}
			cfg, err := config.Load()
			if cfg.Traces != c.want {
				t.Errorf("%+v", cfg.Traces)
			}
			if got := otelFault(t, err); got != c.fault {
				t.Errorf("%q is named: %v", got, err)
			}
			if others, err := config.LoadFor(); err != nil || others.Traces != (config.Traces{}) {
				t.Errorf("other commands: %v, %+v", err, others.Traces)
			}
		})
	}
}

// otelFault returns the variable of OpenTelemetry that the error names; empty: none. The error has
// the settings that are missing, too.
func otelFault(t *testing.T, err error) string {
	t.Helper()
	var faults config.Faults
	if !errors.As(err, &faults) || strings.Contains(err.Error(), canary) {
		t.Fatal("no faults, or one with a value")
	}
	if last := faults[len(faults)-1].Name; strings.HasPrefix(last, "OTEL_") {
		return last
	}
	return ""
}
