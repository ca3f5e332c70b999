package config

func (c *Config) checkPlan(k *checker) {
	k.require(c.PlanReconcileAge > 0, "PLAN_RECONCILE_AGE", "must be more than 0")
	k.require(c.PlanQuiet > 0, "PLAN_QUIET", "must be more than 0")
}
