"""An alarm in words, the same for every party."""

from __future__ import annotations

from matcher.alarms import Alarm
from scripts.language import say
from scripts.messages import explain_code


def alarm_line(alarm: Alarm) -> str:
    """Number, time, what happened and what to do; or who has seen it."""
    what, following = explain_code(alarm.code, alarm.detail, alarm.params)
    if alarm.acknowledged_at is not None:
        following = say(
            f"（{alarm.acknowledged_by} 于 {alarm.acknowledged_at} 确认）",
            f"(acknowledged by {alarm.acknowledged_by} at {alarm.acknowledged_at})",
        )
    mark = say("！警报", "! alarm") if alarm.acknowledged_at is None else say("警报", "alarm")
    return f"{mark} {alarm.alarm_id} {alarm.at} {alarm.code}: {what} {following}".rstrip()
