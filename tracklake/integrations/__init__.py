"""Loggers for training libraries, one small module each; a module needs its library, and is imported only when used.

Each logs into the current run, or into one that it starts with the arguments it is given.

- `accelerate`: a tracker for Accelerate.
- `keras`: callbacks for Keras, with any backend.
- `lightgbm`: a callback for LightGBM.
- `lightning`: a logger for Lightning's Trainer.
- `optuna`: a callback for Optuna: a run a trial.
- `pytorch`: a SummaryWriter with the calls of torch's, and no event files.
- `ray`: a logger callback for Ray Tune: a run a trial.
- `sb3`: a writer and a callback for Stable-Baselines3.
- `sklearn`: estimators, searches and charts of scikit-learn, without callbacks.
- `transformers`: a callback for the Trainer of transformers.
- `xgboost`: a callback for XGBoost.
"""

from __future__ import annotations

__all__ = ["keras", "lightgbm", "lightning", "sb3", "sklearn", "xgboost"]
