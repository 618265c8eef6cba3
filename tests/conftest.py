"""Settings of all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test fails because a machine is slow; and a fixture of a function may serve all examples, as most of ours do.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("patient")
