"""The audience taxonomy and the rules of its tags."""
