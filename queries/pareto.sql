-- Which runs are not beaten in both of two metrics?
--
-- Takes    a METRIC               the one metric
--          b METRIC               the other metric
--          goal_a GOAL = null     'max' or 'min'; null: the goal of its definition
--          goal_b GOAL = null     the same of the other
--          stat_a STAT = null     its statistic; null: that of the goal
--          stat_b STAT = null     the same of the other
--          project PROJECT = null only this project
-- Returns  run_id TEXT, name TEXT, a DOUBLE, b DOUBLE
-- Runs on  duckdb, spark
--
-- A run is beaten if another is at least as good in both metrics and better in one. Best in the one metric comes first.

with first as (
    select run_id, value, case when $goal_a = 'min' then value else -value end as loss
    from summaries
    where metric = $a and stat = coalesce($stat_a, $goal_a)
        and ($project is null or project = $project) and value is not null and not isnan(value)
),

second as (
    select run_id, value, case when $goal_b = 'min' then value else -value end as loss
    from summaries
    where metric = $b and stat = coalesce($stat_b, $goal_b)
        and ($project is null or project = $project) and value is not null and not isnan(value)
),

scores as (
    select first.run_id, first.value as a, second.value as b, first.loss as loss_a, second.loss as loss_b
    from first join second on second.run_id = first.run_id
),

levels as (
    select
        loss_a,
        min(loss_b) as least,
        min(min(loss_b)) over (order by loss_a rows between unbounded preceding and 1 preceding) as least_before
    from scores
    group by loss_a
)

select scores.run_id, runs.name, scores.a, scores.b
from scores
    join levels on levels.loss_a = scores.loss_a
    join runs on runs.run_id = scores.run_id
where scores.loss_b = levels.least and (levels.least_before is null or scores.loss_b < levels.least_before)
order by scores.loss_a, scores.run_id
