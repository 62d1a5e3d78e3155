"""What a block of the second lung family is made of: random fields, sheets, blobs, and trees that grow by flow."""
