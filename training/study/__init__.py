"""A study of the recipe: ablation, learning curves, stability over windows."""
