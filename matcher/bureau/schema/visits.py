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
        grid         TEXT NOT NULL DEFAULT '',  -- 网格
        planned_for  TEXT NOT NULL,             -- day
        manager      TEXT,                      -- account of the bank's manager
        grid_officer TEXT NOT NULL DEFAULT '',
        started_at   TEXT,
        sealed_place BLOB,                      -- JSON: latitude, longitude, accuracy_m, track
        collector    TEXT,                      -- account that submitted the form
        submitted_at TEXT,
        outcome      TEXT CHECK (outcome IN ('done', 'absent', 'refused', 'moved', 'deceased', 'wrong_address')),
        decided_by   TEXT CHECK (decided_by <> collector),
        decided_at   TEXT,
        remark       TEXT NOT NULL DEFAULT '',
        version      INTEGER NOT NULL DEFAULT 1,  -- rises with every change; a stale one is refused
        created_at   TEXT NOT NULL,
        updated_at   TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX visit_by_household ON visit (household_id)",
    "CREATE INDEX visit_by_manager ON visit (manager, state, planned_for)",
    VISIT.trigger("visit"),
    """
    CREATE TABLE form (
        form_id        INTEGER PRIMARY KEY,
        visit_id       INTEGER NOT NULL REFERENCES visit (visit_id),
        schema_version TEXT NOT NULL,         -- mingce-visit-form/1
        sealed         BLOB NOT NULL,         -- JSON of matcher.visits.form.VisitForm
        digest         TEXT NOT NULL,         -- Office.digest of the form: what a decision names
        device_key     TEXT NOT NULL UNIQUE,  -- made on the device, so that sending twice stores once
        saved_by       TEXT NOT NULL,
        saved_at       TEXT NOT NULL,
        replaced_at    TEXT                   -- a later copy of this visit's form took its place
    ) STRICT
    """,
    "CREATE UNIQUE INDEX present_form ON form (visit_id) WHERE replaced_at IS NULL",
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
