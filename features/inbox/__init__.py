"""The inbox: live events, durable before they are acknowledged."""
