"""Where the estimator is fitted and judged: ground truth, regression, calibration, validation."""
