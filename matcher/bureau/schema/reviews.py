"""Reviews: decisions of two persons, what follows them, and the final list.

The last gate stands here too: no statement makes a household FINAL without an accepted form, the checks that
the decision lists as required, and an approval confirmed by a second person who did not collect the form.
"""

from __future__ import annotations

TABLES = (
    """
    CREATE TABLE decision (
        decision_id  INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        round        INTEGER NOT NULL,    -- 1, then one more for each appeal, objection or return
        verdict      TEXT NOT NULL CHECK (verdict IN ('approve', 'reject', 'return')),
        state        TEXT NOT NULL CHECK (state IN ('proposed', 'confirmed', 'sent_back')),
        reasons      TEXT NOT NULL,       -- codes joined by ','
        policy       TEXT NOT NULL REFERENCES policy (sha256),
        visit_id     INTEGER REFERENCES visit (visit_id),
        form_digest  TEXT,
        checks       TEXT NOT NULL,       -- JSON: department -> [check_id], what the policy requires
        sealed       BLOB NOT NULL,       -- JSON: the facts and the assessment as they were, the remark
        digest       TEXT NOT NULL,       -- Office.digest of them: the second person confirms what the first saw
        proposed_by  TEXT NOT NULL,
        proposed_at  TEXT NOT NULL,
        decided_by   TEXT CHECK (decided_by <> proposed_by),
        decided_at   TEXT
    ) STRICT
    """,
    "CREATE UNIQUE INDEX one_open_decision ON decision (household_id) WHERE state = 'proposed'",
    "CREATE INDEX decision_by_household ON decision (household_id)",
    """
    CREATE TRIGGER decision_is_kept BEFORE UPDATE ON decision
    WHEN OLD.state <> 'proposed' OR OLD.digest <> NEW.digest OR OLD.verdict <> NEW.verdict OR OLD.policy <> NEW.policy
    BEGIN SELECT RAISE(ABORT, 'decision: never changed once made'); END;
    """,
    """
    CREATE TABLE objection (
        objection_id INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        kind         TEXT NOT NULL CHECK (kind IN ('appeal', 'objection')),  -- 申诉 by the household, 异议 by others
        sealed       BLOB NOT NULL,  -- JSON: who and why
        received_on  TEXT NOT NULL,
        entered_by   TEXT NOT NULL,
        entered_at   TEXT NOT NULL,
        outcome      TEXT,
        closed_by    TEXT,
        closed_at    TEXT
    ) STRICT
    """,
    """
    CREATE TABLE confirmation (
        confirmation_id INTEGER PRIMARY KEY,
        household_id    INTEGER NOT NULL REFERENCES household (household_id),
        decision_id     INTEGER NOT NULL UNIQUE REFERENCES decision (decision_id),
        ways            TEXT NOT NULL,  -- JSON array of the policy's ways
        begun_on        TEXT NOT NULL,
        ends_on         TEXT NOT NULL,  -- objections are heard until the end of this day
        sms_at          TEXT,
        village_on      TEXT,           -- 村小组评议
        village_result  TEXT CHECK (village_result IN ('agreed', 'objected')),
        closed_at       TEXT
    ) STRICT
    """,
    """
    CREATE TABLE listing (
        listing_id     INTEGER PRIMARY KEY,
        household_id   INTEGER NOT NULL REFERENCES household (household_id),
        decision_id    INTEGER NOT NULL REFERENCES decision (decision_id),
        policy         TEXT NOT NULL REFERENCES policy (sha256),
        effective_from TEXT NOT NULL,  -- day; on the final list from here
        effective_to   TEXT,           -- the first day it no longer is
        ended_as       TEXT CHECK (ended_as IN ('GRADUATED', 'REMOVED', 'SUSPENDED')),
        reasons        TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE UNIQUE INDEX one_open_listing ON listing (household_id) WHERE effective_to IS NULL",
    """
    CREATE TRIGGER household_final BEFORE UPDATE OF state ON household
    WHEN NEW.state = 'FINAL' AND OLD.state = 'CONFIRMING' AND NOT EXISTS (
        SELECT 1 FROM decision
        JOIN visit ON visit.visit_id = decision.visit_id AND visit.state = 'ACCEPTED'
        JOIN form ON form.visit_id = visit.visit_id AND form.replaced_at IS NULL AND form.digest = decision.form_digest
        WHERE decision.household_id = NEW.household_id AND decision.verdict = 'approve'
        AND decision.state = 'confirmed' AND decision.decided_by IS NOT NULL
        AND decision.decided_by <> decision.proposed_by
        AND decision.decided_by <> visit.collector AND decision.proposed_by <> visit.collector
        AND decision.decision_id = (SELECT MAX(decision_id) FROM decision d WHERE d.household_id = NEW.household_id)
        AND NOT EXISTS (
            SELECT 1 FROM json_each(decision.checks) required WHERE NOT EXISTS (
                SELECT 1 FROM department_check
                WHERE department_check.household_id = NEW.household_id AND department_check.department = required.key)))
    BEGIN SELECT RAISE(ABORT, 'household: no final list without form, checks and two persons'); END;
    """,
)
