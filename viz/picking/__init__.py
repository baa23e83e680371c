"""Controls to choose something, shared by several pages."""
