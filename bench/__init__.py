"""One script per figure: each prints a table and writes JSON with ``--json PATH``."""
