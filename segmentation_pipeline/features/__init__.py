"""Customers -> engineered features -> the matrix that is clustered.

`engineered` makes every feature of a segmentation in its original unit; `fitting` learns from a
sample how they enter the distance, and `preparation` is what it learned, as rows of two small
tables; `transform` writes the one SELECT that applies it; `matrix` runs it for all customers.
What is learned about segments belongs to `clustering`.
"""
