"""What sources of images are called, for those who do without the libraries that open them."""

SAMPLE = "sample"  # the bundled images
TORCHVISION = "torchvision:"
EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
