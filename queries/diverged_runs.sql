-- Which runs logged numbers that are not finite, and from which step on?
--
-- Takes    metric METRIC = null   only in this metric
--          project PROJECT = null only this project
-- Returns  run_id TEXT, name TEXT, state TEXT, metric TEXT,
--          n_nan BIGINT, n_inf BIGINT,
--          first_step BIGINT      the first step with such a number
-- Runs on  duckdb, spark
--
-- Without a metric it is about all but aliases, which only repeat what the runs logged under other names.

with found as (
    select
        run_id, metric,
        max(case when stat = 'n_nan' then value end) as n_nan,
        max(case when stat = 'n_inf' then value end) as n_inf
    from summaries
    where stat in ('n_nan', 'n_inf') and value > 0
        and ($metric is null or metric = $metric) and ($project is null or project = $project)
    group by run_id, metric
),

aliases as (
    select distinct name from definitions where kind = 'alias'
),

logged as (
    select distinct points.run_id, points.metric from points join aliases on aliases.name = points.metric
),

counts as (
    select found.*
    from found
        left join aliases on aliases.name = found.metric
        left join logged on logged.run_id = found.run_id and logged.metric = found.metric
    where $metric is not null or aliases.name is null or logged.metric is not null
),

moments as (
    select history.run_id, history.metric, min(history.step) as first_step
    from history join counts on counts.run_id = history.run_id and counts.metric = history.metric
    where ($metric is null or history.metric = $metric) and ($project is null or history.project = $project)
        and (history.is_nan or abs(history.value) = cast('infinity' as double))
    group by history.run_id, history.metric
)

select
    counts.run_id, runs.name, runs.state, counts.metric,
    cast(coalesce(counts.n_nan, 0) as bigint) as n_nan,
    cast(coalesce(counts.n_inf, 0) as bigint) as n_inf,
    moments.first_step
from counts
    join runs on runs.run_id = counts.run_id
    left join moments on moments.run_id = counts.run_id and moments.metric = counts.metric
order by counts.run_id, counts.metric
