"""Reviews: decisions of two persons, what follows them, and the final list.

The last gates stand here too. Whatever wrote the statement, no household is approved, refused, returned, put on
the final list or taken off it without a newest decision that says so and that a second person confirmed; and
none reaches FINAL without an accepted form, the checks that the decision lists as required, and a confirmation
that ran its time without an objection.
"""

from __future__ import annotations

# What a person decides, and the state that a household goes to once a second person has confirmed it.
VERDICTS = {
    "approve": "APPROVED",
    "reject": "REJECTED",
    "return": "RETURNED",
    "graduate": "GRADUATED",
    "suspend": "SUSPENDED",
    "resume": "FINAL",
    "remove": "REMOVED",
    "give_up": "REFINED_OUT",
}

_VERDICTS = ", ".join(f"'{verdict}'" for verdict in VERDICTS)
_STATE_OF = "CASE decision.verdict " + " ".join(f"WHEN '{v}' THEN '{state}'" for v, state in VERDICTS.items()) + " END"

TABLES = (
    f"""
    CREATE TABLE decision (
        decision_id   INTEGER PRIMARY KEY,
        household_id  INTEGER NOT NULL REFERENCES household (household_id),
        round         INTEGER NOT NULL,    -- 1, then one more after each confirmed decision
        verdict       TEXT NOT NULL CHECK (verdict IN ({_VERDICTS})),
        state         TEXT NOT NULL CHECK (state IN ('proposed', 'confirmed', 'sent_back', 'withdrawn')),
        reasons       TEXT NOT NULL,       -- codes joined by ','
        policy        TEXT NOT NULL REFERENCES policy (sha256),
        visit_id      INTEGER REFERENCES visit (visit_id),
        form_digest   TEXT,
        checks        TEXT NOT NULL,       -- JSON: department -> [check_id], what the policy requires
        sealed        BLOB NOT NULL,       -- JSON: the facts and the assessment as they were, the remark
        digest        TEXT NOT NULL,       -- Office.digest of them: the second person confirms what the first saw
        proposed_by   TEXT NOT NULL,
        proposed_at   TEXT NOT NULL,
        decided_by    TEXT,
        decided_at    TEXT,
        sealed_answer BLOB,                -- JSON: the second person's remark
        told_at       TEXT,                -- of a refusal: the family was told of it, why, and that it may appeal
        CHECK ((decided_by = proposed_by) = (state = 'withdrawn')),
        CHECK (told_at IS NULL OR (verdict = 'reject' AND state = 'confirmed'))
    ) STRICT
    """,
    "CREATE UNIQUE INDEX one_open_decision ON decision (household_id) WHERE state = 'proposed'",
    "CREATE INDEX decision_by_household ON decision (household_id)",
    "CREATE INDEX refusal_untold ON decision (household_id)"
    " WHERE verdict = 'reject' AND state = 'confirmed' AND told_at IS NULL",
    "CREATE INDEX decision_waiting ON decision (proposed_at) WHERE state = 'proposed'",
    """
    CREATE TRIGGER decision_begins BEFORE INSERT ON decision
    WHEN NEW.state <> 'proposed' OR NEW.decided_by IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'decision: begins as proposed'); END;
    """,
    # Only the answer may be added; a purge may empty what is sealed of one that was answered.
    """
    CREATE TRIGGER decision_is_kept BEFORE UPDATE ON decision
    WHEN (NEW.household_id, NEW.round, NEW.verdict, NEW.reasons, NEW.policy, NEW.checks, NEW.digest, NEW.proposed_by,
          NEW.proposed_at) <> (OLD.household_id, OLD.round, OLD.verdict, OLD.reasons, OLD.policy, OLD.checks,
          OLD.digest, OLD.proposed_by, OLD.proposed_at)
    OR (OLD.told_at IS NOT NULL AND NEW.told_at IS NOT OLD.told_at)
    OR NEW.visit_id IS NOT OLD.visit_id OR NEW.form_digest IS NOT OLD.form_digest
    OR (NEW.sealed <> OLD.sealed AND (OLD.state = 'proposed' OR NEW.sealed <> x''))
    OR (OLD.state <> 'proposed' AND (NEW.state <> OLD.state OR NEW.decided_by IS NOT OLD.decided_by
        OR NEW.decided_at IS NOT OLD.decided_at))
    OR (NEW.state <> 'proposed' AND (NEW.decided_by IS NULL OR NEW.decided_at IS NULL))
    BEGIN SELECT RAISE(ABORT, 'decision: never changed once made'); END;
    """,
    """
    CREATE TRIGGER decision_not_of_collector BEFORE UPDATE ON decision
    WHEN NEW.state = 'confirmed' AND OLD.state = 'proposed' AND EXISTS (
        SELECT 1 FROM visit WHERE visit.visit_id = NEW.visit_id
        AND visit.collector IN (NEW.proposed_by, NEW.decided_by))
    BEGIN SELECT RAISE(ABORT, 'decision: whoever collected the form does not decide'); END;
    """,
    """
    CREATE TABLE objection (
        objection_id INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        decision_id  INTEGER NOT NULL UNIQUE REFERENCES decision (decision_id),  -- the one it is against
        kind         TEXT NOT NULL CHECK (kind IN ('appeal', 'objection')),  -- 申诉 by the household, 异议 by others
        sealed       BLOB NOT NULL,  -- JSON: who and why
        received_on  TEXT NOT NULL,
        entered_by   TEXT NOT NULL,
        entered_at   TEXT NOT NULL,
        outcome      TEXT CHECK (outcome IN ('approve', 'reject')),  -- of the decision that answered it
        closed_by    TEXT,
        closed_at    TEXT
    ) STRICT
    """,
    "CREATE UNIQUE INDEX one_appeal ON objection (household_id) WHERE kind = 'appeal'",
    "CREATE INDEX objection_by_household ON objection (household_id)",
    """
    CREATE TABLE confirmation (
        confirmation_id INTEGER PRIMARY KEY,
        household_id    INTEGER NOT NULL REFERENCES household (household_id),
        decision_id     INTEGER NOT NULL UNIQUE REFERENCES decision (decision_id),
        ways            TEXT NOT NULL,  -- JSON array of the policy's ways
        begun_on        TEXT NOT NULL,
        ends_on         TEXT NOT NULL,  -- objections are heard until the end of this day
        sms_at          TEXT,           -- the text was handed out for sending, or the household told otherwise
        village_on      TEXT,           -- 村小组评议
        village_result  TEXT CHECK (village_result IN ('agreed', 'objected')),
        outcome         TEXT CHECK (outcome IN ('final', 'objected')),
        closed_at       TEXT,
        CHECK ((outcome IS NULL) = (closed_at IS NULL)),
        CHECK (outcome IS NOT 'final' OR (
            date(closed_at, '+8 hours') > ends_on
            AND (instr(ways, '"sms"') = 0 OR sms_at IS NOT NULL)
            AND (instr(ways, '"village"') = 0 OR village_result IS 'agreed')))
    ) STRICT
    """,
    "CREATE INDEX confirmation_by_household ON confirmation (household_id)",
    "CREATE INDEX confirmation_open ON confirmation (ends_on) WHERE closed_at IS NULL",
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
    CREATE TRIGGER listing_begins BEFORE INSERT ON listing
    WHEN NOT EXISTS (
        SELECT 1 FROM decision JOIN household USING (household_id)
        WHERE decision.decision_id = NEW.decision_id AND decision.household_id = NEW.household_id
        AND decision.state = 'confirmed' AND decision.verdict IN ('approve', 'resume') AND household.state = 'FINAL')
    BEGIN SELECT RAISE(ABORT, 'listing: the household is not final'); END;
    """,
    # The newest decision has to say so, and nobody may have objected to it.
    f"""
    CREATE TRIGGER household_decided BEFORE UPDATE OF state ON household
    WHEN (NEW.state IN ('APPROVED', 'REJECTED', 'RETURNED', 'GRADUATED', 'SUSPENDED', 'REMOVED')
          OR (OLD.state = 'SUSPENDED' AND NEW.state = 'FINAL')
          OR (OLD.state IN ('TO_VISIT', 'RETURNED') AND NEW.state = 'REFINED_OUT'))
    AND OLD.state <> NEW.state AND NOT EXISTS (
        SELECT 1 FROM decision
        WHERE decision.decision_id = (SELECT MAX(decision_id) FROM decision d WHERE d.household_id = NEW.household_id)
        AND decision.state = 'confirmed' AND NEW.state = {_STATE_OF}
        AND NOT EXISTS (SELECT 1 FROM objection WHERE objection.decision_id = decision.decision_id))
    BEGIN SELECT RAISE(ABORT, 'household: two persons have to decide this'); END;
    """,  # noqa: S608  our own words
    """
    CREATE TRIGGER household_reopened BEFORE UPDATE OF state ON household
    WHEN NEW.state = 'IN_REVIEW' AND OLD.state IN ('REJECTED', 'CONFIRMING') AND NOT EXISTS (
        SELECT 1 FROM objection WHERE objection.household_id = NEW.household_id AND objection.outcome IS NULL
        AND objection.kind = iif(OLD.state = 'REJECTED', 'appeal', 'objection'))
    BEGIN SELECT RAISE(ABORT, 'household: nobody appealed or objected'); END;
    """,
    """
    CREATE TRIGGER household_final BEFORE UPDATE OF state ON household
    WHEN NEW.state = 'FINAL' AND OLD.state = 'CONFIRMING' AND NOT EXISTS (
        SELECT 1 FROM decision
        JOIN visit ON visit.visit_id = decision.visit_id AND visit.household_id = decision.household_id
        AND visit.state = 'ACCEPTED'
        JOIN form ON form.visit_id = visit.visit_id AND form.replaced_at IS NULL AND form.digest = decision.form_digest
        JOIN confirmation ON confirmation.decision_id = decision.decision_id AND confirmation.outcome = 'final'
        WHERE decision.decision_id = (SELECT MAX(decision_id) FROM decision d WHERE d.household_id = NEW.household_id)
        AND decision.verdict = 'approve' AND decision.state = 'confirmed' AND decision.decided_by IS NOT NULL
        AND decision.decided_by <> decision.proposed_by
        AND decision.decided_by <> visit.collector AND decision.proposed_by <> visit.collector
        AND NOT EXISTS (SELECT 1 FROM objection WHERE objection.decision_id = decision.decision_id)
        AND NOT EXISTS (
            SELECT 1 FROM json_each(decision.checks) required
            WHERE json_array_length(required.value) = 0 OR EXISTS (
                SELECT 1 FROM json_each(required.value) listed WHERE NOT EXISTS (
                    SELECT 1 FROM department_check
                    WHERE department_check.check_id = listed.value
                    AND department_check.household_id = NEW.household_id
                    AND department_check.department = required.key))))
    BEGIN SELECT RAISE(ABORT, 'household: no final list without form, checks and two persons'); END;
    """,
    # Every filter of a queue is answered from this index alone, in the order of waiting.
    "CREATE INDEX household_waiting ON household (state, state_since, household_id, township, claimed_by, reasons)",
)

STAYS = ("CREATE INDEX listing_by_household ON listing (household_id)",)  # whether a stay is a household's last
