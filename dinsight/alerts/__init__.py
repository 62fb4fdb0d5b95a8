"""Alerts: rules of a baseline, what they raise of its streams, and what people do about it."""
