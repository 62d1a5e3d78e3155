"""From volumes to what training needs: masks, intensity windows and banks of patches."""
