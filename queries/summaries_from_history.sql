-- Every summary statistic of every series, straight from the raw points: the definition that stored states are tested against.
--
-- Reads    points    schema.POINTS, raw: overwritten and masked points are still in it
--          sessions  run_id, session (unique together), cutoff BIGINT: the points of that session with a step >= cutoff
--                    were taken back by a rewind; null: none were
-- Takes    no parameters
-- Returns  one row a (run_id, metric) that has a point that counts, in no order:
--          n_points                          points that count, of any kind
--          count, n_nan, n_inf               numbers, infinities among them; NaN is not a number and counted apart
--          sum, mean, std, median, min, max  DOUBLE, over the numbers; null if there are none (std, the sample one: at most one)
--          argmin, argmax                    BIGINT, the earliest step with that value
--          first_step, first_value, first_ival, first_text, first_kind, and the same of last_
--                                            the value of any kind but None at the lowest and the highest step
--          lo, hi                            the lowest and the highest step, None included
-- Runs on  duckdb, spark
--
-- No aggregate here sees a NaN: duckdb takes it for the greatest number, other engines skip it or return it. No tie is left
-- to the engine. Infinities are added by hand, because inf - inf is NaN. kind 5 is None, 6 a value
-- that a later call of its row replaced by a name above or under it.

with live as (
    select points.*
    from points left join sessions on sessions.run_id = points.run_id and sessions.session = points.session
    where points.metric <> '_step'  -- the marker of an empty row
        and (sessions.cutoff is null or points.step < sessions.cutoff)
),

ranked as (  -- a session gives no two points of one step the same stamp
    select *, row_number() over (partition by run_id, metric, step order by ts desc, session desc) as age
    from live
),

resolved as (
    select
        run_id, metric, step, value, ival, text, kind,
        value is not null and not isnan(value) as is_number,
        value is not null and not isnan(value) and abs(value) < 'infinity'::double as is_finite
    from ranked
    where age = 1 and kind <> 6
),

bounds as (
    select
        run_id, metric,
        min(value) filter (where is_number) as least,
        max(value) filter (where is_number) as greatest,
        min(step) filter (where kind <> 5) as first_step,
        max(step) filter (where kind <> 5) as last_step,
        coalesce(avg(value) filter (where is_finite), 0) as near_mean
    from resolved
    group by run_id, metric
),

totals as (
    select
        resolved.run_id, resolved.metric,
        count(*) as n_points,
        count(*) filter (where is_number) as count,
        count(*) filter (where value is not null and not is_number) as n_nan,
        count(*) filter (where is_number and not is_finite) as n_inf,
        -- inf - inf is NaN, as IEEE has it
        coalesce(max(value) filter (where is_number and value = 'infinity'::double), 0)
            + coalesce(min(value) filter (where is_number and value = '-infinity'::double), 0) as infinite,
        -- in two passes: differences from the mean are small where the values are not, and their sum is what rounding
        -- took from it
        min(near_mean) as near_mean,
        coalesce(sum(value - near_mean) filter (where is_finite and abs(near_mean) < 'infinity'::double), 0) as lack,
        sum((value - near_mean) * (value - near_mean)) filter (where is_finite) as squares,
        count(*) filter (where is_finite) as n_finite,
        median(value) filter (where is_number) as median,
        min_by(value, step) filter (where is_number and value = least) as min,  -- the earlier of 0.0 and -0.0
        min(step) filter (where is_number and value = least) as argmin,
        min_by(value, step) filter (where is_number and value = greatest) as max,
        min(step) filter (where is_number and value = greatest) as argmax,
        -- one point has that step, so max is that point's (null if it has none)
        min(first_step) as first_step,
        max(value) filter (where step = first_step) as first_value,
        max(ival) filter (where step = first_step) as first_ival,
        max(text) filter (where step = first_step) as first_text,
        max(kind) filter (where step = first_step) as first_kind,
        min(last_step) as last_step,
        max(value) filter (where step = last_step) as last_value,
        max(ival) filter (where step = last_step) as last_ival,
        max(text) filter (where step = last_step) as last_text,
        max(kind) filter (where step = last_step) as last_kind,
        min(step) as lo,
        max(step) as hi
    from resolved join bounds on bounds.run_id = resolved.run_id and bounds.metric = resolved.metric
    group by resolved.run_id, resolved.metric
)

select
    run_id, metric, n_points, count, n_nan, n_inf,
    case when count > 0 then near_mean * n_finite + lack + infinite end as sum,
    case when count > 0 then near_mean + coalesce(lack / nullif(n_finite, 0), 0) + infinite end as mean,
    case when count > 1 then
        case when n_inf > 0 then 'nan'::double else sqrt((squares - lack * lack / n_finite) / (n_finite - 1)) end
    end as std,
    median, min, argmin, max, argmax,
    first_step, first_value, first_ival, first_text, first_kind,
    last_step, last_value, last_ival, last_text, last_kind,
    lo, hi
from totals
