"""What every request meets: who asks, what that one may, strict bodies, problem details, headers."""
