"""Labels, tag models, evaluation, bundles and the retraining job."""
