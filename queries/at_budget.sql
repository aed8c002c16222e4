-- How good was each run within a budget of steps or seconds?
--
-- Takes    metric METRIC          the metric
--          goal GOAL = null       'max' or 'min'; null: the goal of its definition
--          steps BIGINT = null    up to this step
--          seconds DOUBLE = null  up to this many seconds after the start of the run, pauses between sessions included
--          project PROJECT = null only this project
-- Returns  run_id TEXT, name TEXT,
--          value DOUBLE           the best value up to there
--          step BIGINT            the earliest step that has it
--          spent BIGINT           the last step within the budget
-- Runs on  duckdb, spark
--
-- The best comes first. A run that logged no number within the budget is left out.

with within as (
    select
        history.run_id, runs.name, history.step, history.value,
        case when $goal = 'min' then history.value else -history.value end as loss
    from history join runs on runs.run_id = history.run_id
    where history.metric = $metric and history.value is not null and not isnan(history.value)
        and ($project is null or history.project = $project)
        and ($steps is null or history.step <= $steps)
        and ($seconds is null or date_diff('microsecond', runs.created_at, history.time) <= $seconds * 1e6)
),

ranked as (
    select
        run_id, name, value, step, loss,
        max(step) over (partition by run_id) as spent,
        row_number() over (partition by run_id order by loss, step) as place
    from within
)

select run_id, name, value, step, spent
from ranked
where place = 1
order by loss, run_id
