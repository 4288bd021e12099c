-- What graders write: each cadet's sheet, and the merits and attendance that it sums up.
-- An id is compared by its canonical string; the _json column beside it keeps the JSON scalar as it was first spelled, for showing.
-- Every row has the version that a writer must have read. A version is never used twice for one id, not even after a removal.

CREATE TABLE cadet (
    cadet_id TEXT PRIMARY KEY,
    cadet_id_json TEXT NOT NULL,
    name TEXT NOT NULL,
    merit_points BIGINT NOT NULL,
    demerit_points BIGINT NOT NULL,
    -- How many training days the cadet was present at.
    attendance_present BIGINT NOT NULL,
    prelim_score DOUBLE PRECISION,
    midterm_score DOUBLE PRECISION,
    final_score DOUBLE PRECISION,
    version BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL
);

-- The version of a merit, and of a mark of attendance, is the version that its cadet's sheet got by the same change.
CREATE TABLE merit (
    cadet_id TEXT NOT NULL REFERENCES cadet (cadet_id),
    merit_id TEXT NOT NULL,
    merit_id_json TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('merit', 'demerit')),
    points BIGINT NOT NULL,
    reason TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (cadet_id, merit_id)
);

CREATE TABLE training_day (
    training_day_id TEXT PRIMARY KEY,
    training_day_id_json TEXT NOT NULL,
    -- 2026-01-15.
    date TEXT NOT NULL,
    title TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL
);

CREATE TABLE attendance (
    training_day_id TEXT NOT NULL REFERENCES training_day (training_day_id),
    cadet_id TEXT NOT NULL REFERENCES cadet (cadet_id),
    status TEXT NOT NULL CHECK (status IN ('present', 'absent', 'late', 'excused')),
    -- Times on the wall, 08:00:00.
    time_in TEXT,
    time_out TEXT,
    version BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (training_day_id, cadet_id)
);
CREATE INDEX attendance_cadet_id ON attendance (cadet_id);

-- Who changed what and when. Changes of one cadet are numbered in the order in which they happened.
CREATE TABLE grading_change (
    change_id SERIALKEY,
    -- NULL where a training day changed.
    cadet_id TEXT,
    what TEXT NOT NULL CHECK (what IN ('cadet', 'merit', 'training_day', 'attendance', 'exam_scores')),
    -- The merit or the training day.
    entry_id TEXT,
    changed_by TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    -- The row as JSON; NULL where there was, or is, none.
    before_json TEXT,
    after_json TEXT
);
CREATE INDEX grading_change_cadet_id ON grading_change (cadet_id, change_id);
