"""Pages: controls, one cached call, pictures; one module per capability."""
