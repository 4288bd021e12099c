-- Who is not approved is due nothing. A second spelling column keeps the cadet's id as it was given.

ALTER TABLE person ADD COLUMN is_approved BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE person ADD COLUMN cadet_id_json TEXT;
-- As the other previous columns: what the last change replaced.
ALTER TABLE person ADD COLUMN previous_name TEXT;
ALTER TABLE person ADD COLUMN previous_is_approved BOOLEAN;
