package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The shipped Kubernetes Job calls ferry with flags that it has, and counts its workers
// the same everywhere.
func TestImportJob(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/import-job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		Spec struct {
			CompletionMode string `yaml:"completionMode"`
			Completions    int    `yaml:"completions"`
			Parallelism    int    `yaml:"parallelism"`
			Template       struct {
				Spec struct {
					Containers []struct {
						Args []string `yaml:"args"`
					} `yaml:"containers"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(text, &job); err != nil {
		t.Fatal(err)
	}
	args := job.Spec.Template.Spec.Containers[0].Args
	cmd := importCommand(strings.NewReader(""), io.Discard, io.Discard)
	last := strings.ReplaceAll(strings.Join(args[1:], "\n"), "$(SHARD)", "3")
	if err := cmd.ParseFlags(strings.Split(last, "\n")); err != nil || args[0] != cmd.Name() {
		t.Fatalf("%q: %v", args, err)
	}
	shard, shards, err := parseShard(cmd.Flag("shard").Value.String())
	if err != nil || shard != 3 || shards != job.Spec.Completions || shards != job.Spec.Parallelism || job.Spec.CompletionMode != "Indexed" {
		t.Errorf("shard %d of %d (%v) of a job of %+v", shard, shards, err, job.Spec)
	}
	if results := cmd.Flag("results").Value.String(); !strings.Contains(results, "3") {
		t.Errorf("every worker writes its results to %s", results)
	}
}
