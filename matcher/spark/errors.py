"""Why the work on Spark stops."""

from __future__ import annotations

from psi.errors import InputError, MingceError


class SparkMissing(InputError):
    """PySpark is not installed: it is an extra."""

    code = "spark_missing"


class SparkUnguarded(InputError):
    """Spark is told to go without encryption or authentication; ``params``: setting, wanted, found."""

    code = "spark_unguarded"


class SparkFailed(MingceError):
    """A job failed on Spark though its tasks were tried again; ``params``: reason."""

    code = "spark_failed"


class KeysRefused(MingceError):
    """An executor was not given keys: too late, not for this, or to another program; ``params``: reason."""

    code = "spark_keys_refused"
