"""Commands of `segmentation`, a module each; `cli` registers them."""
