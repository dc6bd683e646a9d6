"""What a low-level controller has learned: one question per file, all asked of one stage of simulated worlds."""
