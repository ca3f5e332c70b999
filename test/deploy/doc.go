// Package deploy checks the files of deploy/ with the programs' own libraries: the chart is
// rendered and linted by Helm and its objects are decoded as Kubernetes decodes them, without
// unknown fields, and the compose file is loaded as Docker Compose loads it. What they
// configure is given to the real ferry. It starts no cluster and no containers.
//
// It is a module of its own, so that none of this reaches ferry's go.mod.
package deploy
