"""`doctor`: what an on-call person would try by hand, tried and explained. No check changes anything."""
