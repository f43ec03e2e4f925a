"""Looking at the host: in process where that is enough, and noticing at once when a process ends."""
