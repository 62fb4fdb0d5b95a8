"""Telling people of alerts, by webhook and by e-mail.

An event of an alert writes a notice for each channel into its own transaction (`outbox`); a thread
of every instance sends what is due (`notifier`) and tries again until it has arrived.
"""
