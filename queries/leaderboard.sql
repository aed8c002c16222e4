-- Which runs are best by one statistic of a metric?
--
-- Takes    metric METRIC          the metric
--          goal GOAL = null       'max' or 'min'; null: the goal of its definition
--          stat STAT = null       its statistic; null: that of the goal. "entry" is a value set by hand
--          project PROJECT = null only this project
--          k BIGINT = 20          this many runs
-- Returns  rank BIGINT, run_id TEXT, name TEXT, project TEXT, group TEXT, value DOUBLE,
--          step BIGINT            where the least or greatest value was, for min and max
-- Runs on  duckdb, spark
--
-- Runs without a number are left out; equal values have equal ranks.

with scores as (
    select run_id, value, case when $goal = 'min' then value else -value end as loss
    from summaries
    where metric = $metric and stat = coalesce($stat, $goal)
        and ($project is null or project = $project)
        and value is not null and not isnan(value)
),

best as (
    select run_id, value, loss from scores order by loss, run_id limit $k
),

ranked as (
    select run_id, value, rank() over (order by loss) as rank from best
),

steps as (
    select run_id, value as step
    from summaries
    where metric = $metric and stat in ('argmin', 'argmax') and stat = concat('arg', coalesce($stat, $goal))
)

select
    ranked.rank, ranked.run_id, runs.name, runs.project, runs."group", ranked.value,
    cast(steps.step as bigint) as step
from ranked
    join runs on runs.run_id = ranked.run_id
    left join steps on steps.run_id = ranked.run_id
order by ranked.rank, ranked.run_id
