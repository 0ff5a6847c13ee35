"""Cards: a scene or a map measured and explained on one page, and the sheet on which a reviewer says what is wrong."""
