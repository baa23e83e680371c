"""Trains a residual network on an image set, reproducibly and resumably: recipe, augmentation and the run itself."""
