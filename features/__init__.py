"""Events, the event log, as-of features and the audience taxonomy."""
