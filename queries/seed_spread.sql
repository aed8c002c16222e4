-- How far do runs spread that differ in their seed alone?
--
-- Takes    metric METRIC          the metric
--          goal GOAL = null       'max' or 'min'; null: the goal of its definition
--          stat STAT = null       its statistic; null: that of the goal
--          seed TEXT = 'seed'     the key of the config that is the seed
--          project PROJECT = null only this project
-- Returns  config TEXT            what the runs of a row have in common
--          seeds BIGINT, mean DOUBLE,
--          std DOUBLE             the sample one, null for one seed
--          least DOUBLE, greatest DOUBLE
-- Runs on  duckdb
--
-- The best mean comes first. Values that are not finite are left out.

with scores as (
    select run_id, value
    from summaries
    where metric = $metric and stat = coalesce($stat, $goal)
        and ($project is null or project = $project)
        and isfinite(value)
),

settings as (
    select run_id, string_agg(concat(key, '=', label), ', ' order by key) as config
    from config
    where key <> $seed
    group by run_id
)

select
    coalesce(settings.config, '') as config,
    count(*) as seeds,
    avg(scores.value) as mean,
    stddev_samp(scores.value) as std,
    min(scores.value) as least,
    max(scores.value) as greatest
from scores left join settings on settings.run_id = scores.run_id
group by coalesce(settings.config, '')
order by case when $goal = 'min' then avg(scores.value) else -avg(scores.value) end, 1
