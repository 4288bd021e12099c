-- Who is on the campus, what is taught, and who is registered where.
-- An id is compared by its canonical string; the _json column beside it keeps the JSON scalar as it was first spelled, for showing.

CREATE TABLE course (
    course_id TEXT PRIMARY KEY,
    course_id_json TEXT NOT NULL,
    title TEXT NOT NULL
);

CREATE TABLE person (
    person_id TEXT PRIMARY KEY,
    person_id_json TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    cadet_id TEXT,
    -- What stood there before the last change, so that the statement that changes a row also answers what it replaced.
    previous_role TEXT,
    previous_cadet_id TEXT
);

-- A row is a registration that lasts; withdrawn ones are in the log.
CREATE TABLE registration (
    course_id TEXT NOT NULL REFERENCES course (course_id),
    person_id TEXT NOT NULL REFERENCES person (person_id),
    role TEXT NOT NULL,
    previous_role TEXT,
    PRIMARY KEY (course_id, person_id)
);
CREATE INDEX registration_person_id ON registration (person_id);
