"""The exceptions that features/ raises for a user's mistake: one family, readable as it stands."""


class FeatureError(Exception):
    """Something was asked that cannot be done; the text says what was got, what was wanted and what to do."""


class ImageError(FeatureError):
    """A file is not an image that can be shown to a network."""


class DatasetError(FeatureError):
    """A source of images cannot be opened or does not fit the network.

    columns: of the table that tells the images, where naming another of them may help.
    """

    columns: tuple[str, ...] = ()


class WeightsError(FeatureError):
    """Weights cannot be read, found or fitted to an architecture."""
