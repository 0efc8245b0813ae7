"""Visits: plans, forms, photos and signatures."""

from __future__ import annotations

from matcher.states import VISIT

TABLES = (
    """
    CREATE TABLE visit (
        visit_id     INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        kind         TEXT NOT NULL CHECK (kind IN ('first', 'revisit')),  -- 首访, 回访
        attempt      INTEGER NOT NULL DEFAULT 1,
        state        TEXT NOT NULL,
        grid         TEXT NOT NULL DEFAULT '',  -- 网格; a village's division where none is named
        planned_for  TEXT NOT NULL,             -- day
        manager      TEXT,                      -- account of the bank's manager
        grid_officer TEXT NOT NULL DEFAULT '',
        started_at   TEXT,
        sealed_place BLOB,                      -- JSON of matcher.visits.place.Place
        collector    TEXT,                      -- account that submitted the form last
        submitted_at TEXT,
        outcome      TEXT CHECK (outcome IN ('done', 'absent', 'refused', 'moved', 'deceased', 'wrong_address')),
        decided_by   TEXT CHECK (decided_by <> collector),
        decided_at   TEXT,
        remark       TEXT NOT NULL DEFAULT '',  -- of the last move; no personal data
        version      INTEGER NOT NULL DEFAULT 1,  -- rises with every change; a stale one is refused
        created_at   TEXT NOT NULL,
        updated_at   TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX visit_by_household ON visit (household_id)",
    "CREATE UNIQUE INDEX one_open_visit ON visit (household_id) WHERE state NOT IN ('ACCEPTED', 'FAILED', 'CANCELLED')",
    "CREATE INDEX visit_by_state ON visit (state)",  # pages of a list, in the order of their numbers
    "CREATE INDEX visit_by_manager ON visit (manager, state, planned_for)",
    VISIT.trigger("visit"),
    """
    CREATE TABLE visit_move (
        move_id    INTEGER PRIMARY KEY,
        visit_id   INTEGER NOT NULL REFERENCES visit (visit_id),
        attempt    INTEGER NOT NULL,
        from_state TEXT NOT NULL,
        to_state   TEXT NOT NULL,
        at         TEXT NOT NULL,
        account    TEXT NOT NULL,
        outcome    TEXT,           -- why it failed, kept when the visit is planned again
        remark     TEXT NOT NULL,  -- no personal data
        audit_seq  INTEGER NOT NULL REFERENCES audit (seq)
    ) STRICT
    """,
    "CREATE INDEX move_by_visit ON visit_move (visit_id)",
    """
    CREATE TABLE form (
        form_id        INTEGER PRIMARY KEY,
        visit_id       INTEGER NOT NULL REFERENCES visit (visit_id),
        schema_version TEXT NOT NULL,         -- mingce-visit-form/1
        sealed         BLOB NOT NULL,         -- JSON of matcher.visits.form.VisitForm, bound to device_key
        digest         TEXT NOT NULL,         -- Office.digest of the form: what a decision names
        device_key     TEXT NOT NULL UNIQUE,  -- made on the device, so that sending twice stores once
        saved_by       TEXT NOT NULL,
        saved_at       TEXT NOT NULL,
        replaced_at    TEXT                   -- a later copy of this visit's form took its place
    ) STRICT
    """,
    "CREATE UNIQUE INDEX present_form ON form (visit_id) WHERE replaced_at IS NULL",
    """
    CREATE TRIGGER form_while_open BEFORE INSERT ON form
    WHEN (SELECT state FROM visit WHERE visit_id = NEW.visit_id) NOT IN ('STARTED', 'COLLECTED', 'RETURNED')
    BEGIN SELECT RAISE(ABORT, 'form: the visit is not open'); END;
    """,
    """
    CREATE TRIGGER form_kept BEFORE UPDATE ON form
    WHEN OLD.sealed <> NEW.sealed OR OLD.digest <> NEW.digest OR OLD.visit_id <> NEW.visit_id
    OR OLD.replaced_at IS NOT NULL
    OR (SELECT state FROM visit WHERE visit_id = OLD.visit_id) NOT IN ('STARTED', 'COLLECTED', 'RETURNED')
    BEGIN SELECT RAISE(ABORT, 'form: a form is replaced while its visit is open, never changed'); END;
    """,
    """
    CREATE TABLE attachment (
        attachment_id INTEGER PRIMARY KEY,
        subject       TEXT NOT NULL,          -- visit/17, commitment/4
        kind          TEXT NOT NULL CHECK (kind IN ('photo', 'signature_applicant', 'signature_manager',
                                                    'signature_officer', 'commitment', 'document')),
        file          TEXT NOT NULL UNIQUE,   -- in <home>/attachments, a name of our own; sealed
        sha256        TEXT NOT NULL,          -- of the image as stored, before sealing
        bytes         INTEGER NOT NULL,
        width         INTEGER NOT NULL,
        height        INTEGER NOT NULL,
        taken_at      TEXT,
        added_by      TEXT NOT NULL,
        added_at      TEXT NOT NULL,
        UNIQUE (subject, kind, sha256)
    ) STRICT
    """,
)

CANCELLING = (  # a store made before visits could be cancelled
    "DROP INDEX one_open_visit",
    "CREATE UNIQUE INDEX one_open_visit ON visit (household_id) WHERE state NOT IN ('ACCEPTED', 'FAILED', 'CANCELLED')",
    "DROP TRIGGER visit_state_moves",
    "DROP TRIGGER visit_state_start",
    VISIT.trigger("visit"),
)
