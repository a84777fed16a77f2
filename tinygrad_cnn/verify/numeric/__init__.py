"""A rule against numeric derivatives: points, directions, slopes with error bars, kinks."""
