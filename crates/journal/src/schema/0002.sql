-- Jobs: work that a commit has promised, and the schedules that promise work by the clock.
-- SERIALKEY stands for a 64-bit primary key that the engine counts.

CREATE TABLE job (
    id SERIALKEY,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'running', 'done', 'dead')),
    -- Raised by every claim, so that it also tells one run's lease from the next.
    attempts BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    run_at_ms BIGINT NOT NULL,
    -- Both set exactly while the job is running.
    lease_until_ms BIGINT,
    leased_by TEXT,
    unique_key TEXT UNIQUE,
    last_error TEXT,
    created_at_ms BIGINT NOT NULL,
    -- Set exactly while the job is done or dead.
    finished_at_ms BIGINT
);
CREATE INDEX job_due ON job (queue, run_at_ms, id) WHERE state = 'ready';
CREATE INDEX job_lease ON job (lease_until_ms) WHERE state = 'running';
CREATE INDEX job_state ON job (state, id);
CREATE INDEX job_finished ON job (state, finished_at_ms) WHERE finished_at_ms IS NOT NULL;

CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    -- The newest tick that is settled; it outlives the tick's job.
    tick_ms BIGINT NOT NULL
);
