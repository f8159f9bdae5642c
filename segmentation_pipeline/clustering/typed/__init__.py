"""Typing: the segment of customers who lack a source, learned from those who have it.

`learning` reads the samples and adds what was learned to a model; `fitting` learns, `answering`
says on what it depends who has the source, `judging` how well typing does on customers who were
kept aside; `model` is what a night needs.
"""
