-- How does a metric go in each group of runs: its mean and spread at every step?
--
-- Takes    metric METRIC          the metric
--          group TEXT = null      only the runs of this group
--          every BIGINT = 1       put this many steps together: the last value of a run among them counts
--          project PROJECT = null only this project
-- Returns  label TEXT             the group; null where a run has none
--          step BIGINT            the first step of those put together
--          runs BIGINT, mean DOUBLE,
--          std DOUBLE             the sample one, null for one run
--          p10 DOUBLE, p25 DOUBLE, median DOUBLE, p75 DOUBLE, p90 DOUBLE
-- Runs on  duckdb
--
-- Runs that log at other steps are aligned: from its first to its last point a run counts at every step at which any run
-- of its group has logged, with its latest value there. Values that are not finite are left out.

with logged as (
    select
        runs.run_id, runs."group" as label,
        cast(floor(history.step / $every) * $every as bigint) as step,
        max_by(history.value, history.step) as value
    from history join runs on runs.run_id = history.run_id
    where history.metric = $metric and isfinite(history.value)
        and ($project is null or history.project = $project)
        and ($group is null or runs."group" = $group)
    group by all
),

spans as (
    select run_id, label, min(step) as first, max(step) as last from logged group by run_id, label
),

grid as (
    select distinct label, step from logged
),

aligned as (
    select grid.label, grid.step, logged.value
    from grid
        join spans on spans.label is not distinct from grid.label and grid.step between spans.first and spans.last
        asof join logged on logged.run_id = spans.run_id and logged.step <= grid.step
)

select
    label, step, count(*) as runs,
    avg(value) as mean,
    stddev_samp(value) as std,
    quantile_cont(value, 0.1) as p10,
    quantile_cont(value, 0.25) as p25,
    median(value) as median,
    quantile_cont(value, 0.75) as p75,
    quantile_cont(value, 0.9) as p90
from aligned
group by label, step
order by label, step
