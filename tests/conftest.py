"""Settings of all tests: a slow or busy machine fails none of them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("zhongcao", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Under CI hypothesis loads a profile of its own, without deadlines and with the same examples every time.
if not os.environ.get("CI"):
    settings.load_profile("zhongcao")
