"""What a merge would do to the fleet: made, told as text and Markdown, and asked of a running backend."""
