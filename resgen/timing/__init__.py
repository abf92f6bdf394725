"""Networks on a device -> seconds, bytes and shares of the peak, each with its interval: `bench`.

Reads plans and runs their modules; must not know recipes, data or run folders, print or exit.
"""
