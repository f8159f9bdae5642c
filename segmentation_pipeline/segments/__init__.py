"""What a segment is: its id, who belongs to it, and what sets it apart."""
