-- Who was asked to look over whose work.

CREATE TABLE review_request (
    submission_id TEXT NOT NULL,
    reviewer_id TEXT NOT NULL,
    author_id TEXT NOT NULL,
    requested_at_ms BIGINT NOT NULL,
    PRIMARY KEY (submission_id, reviewer_id)
);
