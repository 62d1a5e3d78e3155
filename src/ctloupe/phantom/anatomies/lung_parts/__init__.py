"""What a block of lung is grown from: trees, septa, foam and a nodule."""
