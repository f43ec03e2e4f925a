"""The main job, end to end: real processes, real software, real repositories."""
