-- How do groups of runs compare by one statistic of a metric?
--
-- Takes    metric METRIC          the metric
--          goal GOAL = null       'max' or 'min'; null: the goal of its definition
--          stat STAT = null       its statistic; null: that of the goal
--          by TEXT = 'group'      what makes a group: 'group', or a key of the config such as 'lr'
--          project PROJECT = null only this project
-- Returns  label TEXT             the group; null where a run has none
--          runs BIGINT, mean DOUBLE,
--          std DOUBLE             the sample one, null for one run
--          median DOUBLE, best DOUBLE,
--          behind DOUBLE          how far the mean lies behind that of the best group
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

labels as (
    select run_id, "group" as label from runs where $by = 'group'
    union all
    select run_id, label from config where key = $by and $by <> 'group'
),

grouped as (
    select
        labels.label,
        count(*) as runs,
        avg(scores.value) as mean,
        stddev_samp(scores.value) as std,
        median(scores.value) as median,
        case when $goal = 'min' then min(scores.value) else max(scores.value) end as best
    from scores left join labels on labels.run_id = scores.run_id
    group by labels.label
)

select
    label, runs, mean, std, median, best,
    case when $goal = 'min' then mean - min(mean) over () else max(mean) over () - mean end as behind
from grouped
order by behind, label
