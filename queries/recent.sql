-- Which runs were started last?
--
-- Takes    k BIGINT = 20          this many
--          state TEXT = null      only runs in this state: running, finished, failed, killed or crashed
--          project PROJECT = null only this project
-- Returns  run_id TEXT, name TEXT, project TEXT, group TEXT, state TEXT, created_at TIMESTAMPTZ,
--          runtime DOUBLE         seconds
-- Runs on  duckdb, spark

select run_id, name, project, "group", state, created_at, runtime
from runs
where ($project is null or project = $project) and ($state is null or state = $state)
order by created_at desc, run_id
limit $k
