"""A world whose truth is known: people, notes, ads and purchases, with what each campaign really caused."""
