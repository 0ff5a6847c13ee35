"""Labels: from perfect ones to labels as people have them."""
