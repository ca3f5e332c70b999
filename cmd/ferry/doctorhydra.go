package main

import (
	"ferry/config"
	"ferry/doctor"
)

// hydraSettings returns the settings of Hydra; nil: none is set.
func hydraSettings(cfg *config.Config, faults config.Faults) *doctor.HydraSettings {
	if cfg.HydraAdminURL == "" && cfg.HydraPublicURL == "" {
		return nil
	}
	set := &doctor.HydraSettings{AdminURL: cfg.HydraAdminURL, PublicURL: cfg.HydraPublicURL, AdminToken: cfg.HydraAdminToken, Remint: cfg.RemintClients}
	if cfg.TokenListen != "" && !isFaulty(faults, "TOKEN_LISTEN") {
		set.FrontURL, _ = listenerURL(cfg, cfg.TokenListen) // empty: not an address for programs on this machine
	}
	if isFaulty(faults, "HYDRA_ADMIN_URL") {
		set.AdminURL = ""
	}
	if isFaulty(faults, "HYDRA_PUBLIC_URL") {
		set.PublicURL = ""
	}
	return set
}
