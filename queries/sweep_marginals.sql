-- What does each value of each key of the config mean for a metric, whatever the other keys are?
--
-- Takes    metric METRIC          the metric
--          goal GOAL = null       'max' or 'min'; null: the goal of its definition
--          stat STAT = null       its statistic; null: that of the goal
--          project PROJECT = null only this project
-- Returns  key TEXT, setting TEXT,
--          runs BIGINT, mean DOUBLE, median DOUBLE, best DOUBLE,
--          spread DOUBLE          of the key: how far the means of its settings lie apart; the widest key comes first
-- Runs on  duckdb
--
-- Keys that have one setting only are left out, and so are values that are not finite.

with scores as (
    select run_id, value
    from summaries
    where metric = $metric and stat = coalesce($stat, $goal)
        and ($project is null or project = $project)
        and isfinite(value)
),

settings as (
    select
        config.key,
        config.label as setting,
        max(config.value) as number,
        count(*) as runs,
        avg(scores.value) as mean,
        median(scores.value) as median,
        case when $goal = 'min' then min(scores.value) else max(scores.value) end as best
    from scores join config on config.run_id = scores.run_id
    group by config.key, config.label
),

spreads as (
    select *, count(*) over (partition by key) as settings,
        max(mean) over (partition by key) - min(mean) over (partition by key) as spread
    from settings
)

select key, setting, runs, mean, median, best, spread
from spreads
where settings > 1
order by spread desc, key, number, setting
