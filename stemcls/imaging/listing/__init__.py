"""Account for every file and folder below a folder: images, what is skipped, what is litter."""
