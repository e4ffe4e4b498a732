"""The 85 standard stages: their records in `catalog.json`, one module a theme for what they do."""
