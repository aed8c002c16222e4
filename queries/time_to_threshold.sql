-- After how many steps and seconds did each run first reach a value?
--
-- Takes    metric METRIC          the metric
--          threshold DOUBLE       the value to reach
--          goal GOAL = null       'max': at least the threshold, 'min': at most; null: that of its definition
--          project PROJECT = null only this project
-- Returns  run_id TEXT, name TEXT,
--          reached BOOLEAN        a run that has not reached it is told as well: it may, later
--          step BIGINT            the step at which it was reached, else the last step that was logged
--          seconds DOUBLE         from the start of the run to that step, pauses between its sessions included
-- Runs on  duckdb, spark

with logged as (
    select run_id, step, time, case when $goal = 'min' then value <= $threshold else value >= $threshold end as good
    from history
    where metric = $metric and value is not null and not isnan(value)
        and ($project is null or project = $project)
),

moments as (
    select
        run_id,
        max(case when good then 1 else 0 end) = 1 as reached,
        coalesce(min(case when good then step end), max(step)) as step
    from logged
    group by run_id
)

select
    moments.run_id, runs.name, moments.reached, moments.step,
    date_diff('microsecond', runs.created_at, logged.time) / 1e6 as seconds
from moments
    join logged on logged.run_id = moments.run_id and logged.step = moments.step
    join runs on runs.run_id = moments.run_id
order by moments.reached desc, moments.step, moments.run_id
