"""What leaves through the logs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from api.logs import configure_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream, before = io.StringIO(), structlog.get_config()
    configure_logging(stream)
    yield stream
    structlog.configure(**before)


def test_a_line_is_one_json_object(stream: io.StringIO) -> None:
    structlog.get_logger().info("request", party="演示银行", status=200, milliseconds=1.5)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["party"], line["status"], line["milliseconds"]) == (
        "request",
        "info",
        "演示银行",
        200,
        1.5,
    )
    assert line["timestamp"].endswith("Z")


def test_d46_an_id_number_never_passes_wherever_it_stands(stream: io.StringIO) -> None:
    number, short = "99000019800101123X", "990000800101123"
    structlog.get_logger().error(
        f"cannot read {number}",
        text=f"身份证{number}，{short}",
        integer=990000198001011234,
        places=[number, {"inner": (number.lower(),)}],
        error=ValueError(f"invalid: {number}"),
    )
    logged = stream.getvalue()
    for secret in (number, number.lower(), short, "990000198001011234", "19800101"):
        assert secret not in logged
    assert "**" in logged


def test_what_is_no_id_number_stays_as_it_is(stream: io.StringIO) -> None:
    structlog.get_logger().info(
        "x", fingerprint="ab" * 32, rows=66_000_000, time="2026-01-05T09:00:00Z", none=None, yes=True
    )
    line = json.loads(stream.getvalue())
    assert (line["fingerprint"], line["rows"], line["time"], line["none"], line["yes"]) == (
        "ab" * 32,
        66_000_000,
        "2026-01-05T09:00:00Z",
        None,
        True,
    )
