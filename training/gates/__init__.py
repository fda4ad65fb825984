"""Gates: what data and models must be like before anything of them reaches people."""
