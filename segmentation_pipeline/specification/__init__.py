"""What a person writes: `customers.yaml` and `segmentations/*.yaml`, typed and checked."""
