"""The ``zhongcao`` command: one module for each group of verbs."""
