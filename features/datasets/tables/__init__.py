"""Images in the columns of tables: Parquet files, and the sets of Hugging Face's library."""
