-- How fast is each run?
--
-- Takes    project PROJECT = null only this project
-- Returns  run_id TEXT, name TEXT, state TEXT,
--          rows BIGINT            rows logged
--          steps BIGINT           from the first step to the last
--          seconds DOUBLE         from the first row to the last
--          rows_per_second DOUBLE, steps_per_second DOUBLE
-- Runs on  duckdb, spark
--
-- The fastest comes first. Rates are null for a run of one row.

with counts as (
    select
        run_id,
        max(case when metric = '_step' and stat = 'count' then value end) as rows,
        max(case when metric = '_step' and stat = 'max' then value end)
            - max(case when metric = '_step' and stat = 'min' then value end) as steps,
        max(case when metric = '_timestamp' and stat = 'max' then value end)
            - max(case when metric = '_timestamp' and stat = 'min' then value end) as seconds
    from summaries
    where metric in ('_step', '_timestamp') and stat in ('count', 'min', 'max')
        and ($project is null or project = $project)
    group by run_id
)

select
    counts.run_id, runs.name, runs.state,
    cast(counts.rows as bigint) as rows,
    cast(counts.steps as bigint) as steps,
    counts.seconds,
    (counts.rows - 1) / nullif(counts.seconds, 0) as rows_per_second,
    counts.steps / nullif(counts.seconds, 0) as steps_per_second
from counts join runs on runs.run_id = counts.run_id
order by steps_per_second desc nulls last, counts.run_id
