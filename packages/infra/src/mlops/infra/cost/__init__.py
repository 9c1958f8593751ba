"""What a stack costs a month: the resources of a plan times retail prices, from a dated table."""
