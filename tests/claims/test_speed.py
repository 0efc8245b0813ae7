"""``mingce bench claims`` measures the real thing; how fast it is, is not tested on a machine that others use."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from scripts.benchmarks.bench import app


def test_the_benchmark_runs_the_whole_way() -> None:
    done = CliRunner().invoke(app, ["claims", "--quick", "--json"], catch_exceptions=False)
    measured = json.loads(done.stdout)
    assert (measured["households"], measured["loans"], measured["lines"]) == (400, 50, 600)
    assert 0 < measured["claim_lines"] <= measured["lines"]
    assert set(measured["cpu_s"]) == {"first_s", "recompute_s", "nightly_s", "nightly_again_s", "claim_s"}
