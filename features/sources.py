"""What sources of images are called, for those who do without the libraries that open them."""

SAMPLE = "sample"  # the bundled images
TORCHVISION = "torchvision:"
PICTURES = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
ARRAYS = (".npy",)  # images only where there are no pictures: beside pictures they are masks, or features
EXTENSIONS = (*PICTURES, *ARRAYS)
