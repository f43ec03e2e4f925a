"""Stand-ins for the world, and builders of realistic data."""
