"""Images in zips and tars, and in archives inside these."""
