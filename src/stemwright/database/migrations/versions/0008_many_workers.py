"""Adds the workers of many machines and, on PostgreSQL, the queue that they share: Procrastinate's tables.

The two functions are what Procrastinate lacks (docs/decisions/0017-queue.md). They are single statements to their
callers, so no lock is held while a network fails.
"""

import sqlalchemy as sa
from alembic import op

from stemwright.database import procrastinate_schema

revision = "0008"
down_revision = "0007"

FUNCTIONS = """
CREATE INDEX stemwright_jobs_by_turn ON procrastinate_jobs
    (queue_name, (args ->> 'plan'), (args ->> 'account'), priority DESC, id) WHERE status = 'todo';

CREATE FUNCTION stemwright_release_jobs_v1(p_workers bigint[], p_attempts integer)
    RETURNS TABLE(task text)
    LANGUAGE plpgsql
AS $$
DECLARE
    _job procrastinate_jobs;
BEGIN
    -- Like procrastinate_retry_job_v2, but an attempt may count for nothing, and idle workers are told.
    FOR _job IN
        SELECT * FROM procrastinate_jobs
        WHERE status = 'doing' AND worker_id = ANY (p_workers) ORDER BY id FOR UPDATE
    LOOP
        UPDATE procrastinate_jobs
            SET status = 'todo', worker_id = NULL, abort_requested = false, attempts = attempts + p_attempts,
                args = args - 'token'
            WHERE id = _job.id;
        PERFORM pg_notify('procrastinate_queue_v1#' || _job.queue_name,
            json_build_object('type', 'job_inserted', 'job_id', _job.id)::text);
        task := _job.args ->> 'task';
        RETURN NEXT;
    END LOOP;
END;
$$;

CREATE FUNCTION stemwright_fetch_job_v1(
    p_queues text[],
    p_plans text[],
    p_worker bigint,
    p_token text,
    p_silent_s double precision
)
    RETURNS TABLE(is_known boolean, task text, attempt integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    _silent bigint[];
    _turn text;
    _job bigint;
    _passed bigint[] := '{}';
BEGIN
    UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp() WHERE id = p_worker;
    is_known := FOUND;
    IF NOT is_known THEN
        RETURN NEXT;
        RETURN;
    END IF;

    -- Whoever asks for work takes it from the workers that have fallen silent.
    SELECT array_agg(id) INTO _silent FROM (
        SELECT id FROM procrastinate_workers
        WHERE last_heartbeat < clock_timestamp() - p_silent_s * interval '1 second'
        FOR UPDATE SKIP LOCKED
    ) AS silent;
    IF _silent IS NOT NULL THEN
        PERFORM stemwright_release_jobs_v1(_silent, 1);
        DELETE FROM workers WHERE id = ANY (_silent);
        DELETE FROM procrastinate_workers WHERE id = ANY (_silent);
    END IF;

    PERFORM 1 FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = ANY (p_queues) LIMIT 1;
    IF NOT FOUND THEN
        RETURN NEXT;
        RETURN;
    END IF;

    PERFORM pg_advisory_xact_lock(x'57E30003'::int);  -- one choice at a time: each must see the one before
    SELECT value INTO _turn FROM facts WHERE name = 'queue_turn';
    LOOP
        WITH RECURSIVE waiting(queue, plan, account) AS (
            (
                SELECT queue_name::text, args ->> 'plan', args ->> 'account' FROM procrastinate_jobs
                WHERE status = 'todo' ORDER BY queue_name, args ->> 'plan', args ->> 'account' LIMIT 1
            )
            UNION ALL
            SELECT next.* FROM waiting CROSS JOIN LATERAL (
                SELECT queue_name::text, args ->> 'plan', args ->> 'account' FROM procrastinate_jobs
                WHERE status = 'todo' AND (queue_name, args ->> 'plan', args ->> 'account')
                    > (waiting.queue, waiting.plan, waiting.account)
                ORDER BY queue_name, args ->> 'plan', args ->> 'account' LIMIT 1
            ) AS next
        ), held(account, jobs) AS (
            SELECT args ->> 'account', count(*) FROM procrastinate_jobs WHERE status = 'doing' GROUP BY 1
        )
        SELECT first.id INTO _job
        FROM waiting LEFT JOIN held USING (account) CROSS JOIN LATERAL (
            SELECT id, priority FROM procrastinate_jobs
            WHERE status = 'todo' AND queue_name = waiting.queue AND args ->> 'plan' = waiting.plan
                AND args ->> 'account' = waiting.account AND NOT id = ANY (_passed)
            ORDER BY priority DESC, id LIMIT 1
        ) AS first
        WHERE waiting.queue = ANY (p_queues) AND (p_plans IS NULL OR waiting.plan = '' OR waiting.plan = ANY (p_plans))
        ORDER BY coalesce(held.jobs, 0), account <= coalesce(_turn, ''), account, first.priority DESC, first.id
        LIMIT 1;
        EXIT WHEN _job IS NULL;
        -- A job that is being cancelled at this moment is passed over: the lock must not wait for its owner.
        PERFORM 1 FROM procrastinate_jobs WHERE id = _job AND status = 'todo' FOR UPDATE SKIP LOCKED;
        EXIT WHEN FOUND;
        _passed := _passed || _job;
    END LOOP;

    IF _job IS NOT NULL THEN
        UPDATE procrastinate_jobs
            SET status = 'doing', worker_id = p_worker, args = args || jsonb_build_object('token', p_token)
            WHERE id = _job
            RETURNING args ->> 'task', attempts + 1, args ->> 'account' INTO task, attempt, _turn;
        INSERT INTO facts (name, value) VALUES ('queue_turn', _turn)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value;
    END IF;
    RETURN NEXT;
END;
$$;
"""

DEFER_JOBS = """
SELECT procrastinate_defer_jobs_v1(array_agg(ROW(
    CASE WHEN tasks.stems = 'wav' THEN 'conversion' ELSE 'separation' END, 'task', jobs.priority, jobs.task_id,
    jobs.task_id, jsonb_build_object('task', jobs.task_id, 'account', jobs.account_id,
        'plan', CASE WHEN tasks.stems = 'wav' THEN '' ELSE tasks.plan END), NULL
)::procrastinate_job_to_defer_v1 ORDER BY jobs.queued_at))
FROM jobs JOIN tasks ON tasks.id = jobs.task_id HAVING count(*) > 0
"""

KEEP_JOBS = """
INSERT INTO jobs (task_id, account_id, priority, queued_at, attempts)
SELECT args ->> 'task', args ->> 'account', priority, extract(epoch FROM now()) + id * 1e-6, attempts
FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND queue_name IN ('separation', 'conversion')
"""


def upgrade() -> None:
    """Upgrades to this revision."""
    op.create_table(
        "workers",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("host", sa.String(100), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", sa.Text(), nullable=False),
        sa.Column("plans", sa.Text(), nullable=True),
        sa.Column("device", sa.String(32), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        procrastinate_schema.create(connection)
        procrastinate_schema.run_script(connection, FUNCTIONS)
        op.execute(sa.text(DEFER_JOBS))
        op.execute(sa.text("DELETE FROM jobs"))


def downgrade() -> None:
    """Downgrades to the previous revision."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute(sa.text(KEEP_JOBS))
        op.execute(sa.text("DROP FUNCTION stemwright_fetch_job_v1, stemwright_release_jobs_v1"))
        procrastinate_schema.drop(connection)
    op.drop_table("workers")
