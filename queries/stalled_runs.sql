-- Which runs have not got better for a long time?
--
-- Takes    metric METRIC          the metric
--          goal GOAL = null       'max' or 'min'; null: the goal of its definition
--          patience BIGINT = 100  for at least this many steps
--          state TEXT = null      only runs in this state, such as 'running'
--          project PROJECT = null only this project
-- Returns  run_id TEXT, name TEXT, state TEXT, best DOUBLE,
--          best_step BIGINT       the earliest step that has the best value
--          last_step BIGINT       the last step that was logged
--          since BIGINT           the steps between the two; the longest wait comes first
-- Runs on  duckdb, spark

with best as (
    select run_id,
        max(case when stat in ('min', 'max') then value end) as best,
        max(case when stat in ('argmin', 'argmax') then value end) as best_step
    from summaries
    where metric = $metric and stat in ('min', 'max', 'argmin', 'argmax') and stat in ($goal, concat('arg', $goal))
        and ($project is null or project = $project)
    group by run_id
),

ends as (
    select run_id, value as last_step from summaries where metric = '_step' and stat = 'max'
)

select
    best.run_id, runs.name, runs.state, best.best,
    cast(best.best_step as bigint) as best_step,
    cast(ends.last_step as bigint) as last_step,
    cast(ends.last_step - best.best_step as bigint) as since
from best
    join ends on ends.run_id = best.run_id
    join runs on runs.run_id = best.run_id
where ends.last_step - best.best_step >= $patience and ($state is null or runs.state = $state)
order by since desc, best.run_id
