"""The compiled passes of leaky networks: floats only, no labels."""
