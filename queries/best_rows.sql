-- What else did each run have at its own best step of a metric?
--
-- Takes    metric METRIC          the metric that says which step is best
--          goal GOAL = null       'max' or 'min'; null: the goal of its definition
--          project PROJECT = null only this project
-- Returns  run_id TEXT, step BIGINT, metric TEXT, value DOUBLE,
--          text TEXT              one row for each metric that was logged at that step
-- Runs on  duckdb, spark

with best as (
    select run_id, cast(value as bigint) as step
    from summaries
    where metric = $metric and stat in ('argmin', 'argmax') and stat = concat('arg', $goal)
        and ($project is null or project = $project)
)

select history.run_id, history.step, history.metric, history.value, history.text
from history
    join best on best.run_id = history.run_id and best.step = history.step
where $project is null or history.project = $project
order by history.run_id, history.metric
