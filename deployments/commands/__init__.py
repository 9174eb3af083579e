"""The commands that people run: `python -m deployments.commands.run`, `… .pull`."""
