-- In what do two runs differ: their config, and the last values of their metrics?
--
-- Takes    a RUN                  the one run
--          b RUN                  the other run
-- Returns  what TEXT              'config' or 'summary'
--          key TEXT               the key of the config, or the metric
--          a TEXT, b TEXT         the values, null where a run has none
--          change DOUBLE          b - a, of numbers
-- Runs on  duckdb
--
-- What is equal in both is left out.

with said as (
    select 'config' as what, run_id, key, value, label as text from config where run_id in ($a, $b)
    union all
    select 'summary' as what, run_id, metric as key, value, text
    from summaries
    where run_id in ($a, $b) and stat = 'last' and metric not like '\_%' escape '\'
),

sides as (
    select
        what, key,
        max(case when run_id = $a then coalesce(text, regexp_replace(cast(value as varchar), '\.0$', '')) end) as a,
        max(case when run_id = $b then coalesce(text, regexp_replace(cast(value as varchar), '\.0$', '')) end) as b,
        max(case when run_id = $b then value end) - max(case when run_id = $a then value end) as change
    from said
    group by what, key
)

select what, key, a, b, change
from sides
where a is distinct from b
order by what, key
