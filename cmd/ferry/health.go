package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"ferry/config"
)

// healthTimeout limits the question, below the timeout of a container's health check.
const healthTimeout = 2 * time.Second

func healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Check whether ferry serve on this machine accepts logins; exit 1 if not.",
		Long: "Checks at FERRY_ADMIN_LISTEN whether ferry serve on this machine accepts logins. The exit status is 1 if it\n" +
			"does not. It is for health checks of containers, because the image has no other program.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadFor()
			if err != nil {
				return asFailed(err)
			}
			return asFailed(askHealth(cmd.Context(), cfg))
		},
	}
}

// askHealth asks the admin listener of the same settings on loopback.
func askHealth(ctx context.Context, cfg *config.Config) error {
	host, port, err := net.SplitHostPort(cfg.AdminListen)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if cfg.TLS() {
		scheme = "https"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/health/ready", http.NoBody)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// The certificate is for the name by which Kratos calls.
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, //nolint:gosec // no secret is sent, and only this machine is asked
	}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	_ = response.Body.Close() // its body is not needed
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("health: ferry does not accept logins: %s", response.Status)
	}
	return nil
}
