"""Images that lists name: text, CSV, TSV, JSON Lines, JSON or Parquet."""
