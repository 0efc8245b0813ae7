"""Policies that were tried on the present households, with what came out."""

from __future__ import annotations

TABLES = (
    """
    CREATE TABLE policy_trial (
        trial_id  INTEGER PRIMARY KEY,
        county    TEXT NOT NULL,
        version   TEXT NOT NULL,
        sha256    TEXT NOT NULL,   -- of the file tried
        content   BLOB NOT NULL,   -- the file to the letter: it need not have been proposed
        on_day    TEXT NOT NULL,   -- the households' day, and whose policy in force it is compared with
        cost_each INTEGER,         -- expected subsidy of a household a year, 分; null: the average of the last year
        state     TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
        result    TEXT,            -- JSON: counts only (matcher.households.trials)
        fault     TEXT,            -- an error's code
        account   TEXT NOT NULL,
        asked_at  TEXT NOT NULL,
        done_at   TEXT,
        CHECK ((state = 'done') = (result IS NOT NULL))
    ) STRICT
    """,
    # Who is present, without looking at the sealed rows: whom departments have to be asked about.
    "CREATE INDEX member_present ON member (household_id) WHERE left_at IS NULL",
)
