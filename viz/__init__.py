"""Shows: figures, pictures and pages made of what features/ computes."""
