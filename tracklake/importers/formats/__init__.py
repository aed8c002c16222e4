r"""The formats that are recognised and read, one module each: the listing of this folder is the list of formats.

A new format is one module here with PRIORITY, `recognise(folder, names)`, which yields sources by what files hold,
and `read(source, options)`, which yields run records, each followed by its points, and remarks on what was lost
(`importers.registry.Format`, `importers.readers.records`). A source is named like its module. PRIORITY is 10 to 20
for databases and logs, 30 to 50 for a tool's tables, 90 and more for anything. A table is read by
`run_files.read_run`; with an ending beyond `table_files.SUFFIXES` its header is
`delimited.dialect(bytestream.head(path)).names`, its reader `read_run(..., table=DelimitedTable(path))`, and the ending
goes into `places._without_endings`. Then a line in this list, and a test that writes files as the tool does, beside the
tool's own reader. Other packages offer such a module by an entry point of the group `tracklake.importers`.

- `aim`: aim: a repository `.aim`, read through the package aim, where that is installed.
- `catboost`: CatBoost: `catboost_info/`, whose files hold one run together.
- `detectron2`: detectron2: `output/metrics.json`, JSON Lines of one iteration each, its config.yaml beside it.
- `dvclive`: DVCLive: `dvclive/` with a table a metric under plots/metrics, metrics.json and params.yaml.
- `hugging_face`: Hugging Face's Trainer: `trainer_state.json`, of a run's folder or of its checkpoints.
- `keras`: Keras' CSVLogger: `training.log`, one row an epoch.
- `lightning`: PyTorch Lightning's CSVLogger: `lightning_logs/version_0/metrics.csv`, its hparams.yaml beside it.
- `mlflow`: MLflow's database, `mlflow.db`, of every schema since 1.x.
- `mlflow_files`: MLflow's file store: `mlruns/<experiment>/<run>/` with metrics, params and tags as files.
- `neptune`: parquet files of the Neptune exporter: one row an attribute, or a point of a series.
- `optuna`: Optuna's database of studies, of every schema, and its journal file; a study is a sweep, a trial a run.
- `ray_tune`: Ray Tune and RLlib: a trial's folder with `result.json` or `progress.csv`, its params.json beside them.
- `stable_baselines`: stable-baselines3: the episodes of `monitor.csv`, and `progress.csv` of its logger.
- `table`: any table of curves: CSV, TSV, text, JSON Lines or Parquet; wide, long, or one row a run.
- `tensorboard`: TensorBoard's event files: scalars, tensors, histograms, texts and hparams; a folder with them is a
  run.
- `text_log`: text logs, read by a pattern of the caller: `step (?P<step>\d+).*loss (?P<loss>[\d.]+)`.
- `trackio`: trackio: `<project>.db`, of every schema.
- `wandb`: Weights & Biases: offline `.wandb` files of every age, and whole `./wandb` folders; without the wandb
  package.
- `wandb_export`: the CSV of W&B's export button: a column `run - metric` for each run, beside those of its least and
  largest value.
- `yolo`: Ultralytics YOLO: `runs/detect/train/results.csv`, its args.yaml beside it.
"""

from __future__ import annotations

__all__ = ["__name__", "__path__", "text_log"]
