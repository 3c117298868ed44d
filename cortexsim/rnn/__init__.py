"""Leaky recurrent networks that learn cognitive tasks."""
