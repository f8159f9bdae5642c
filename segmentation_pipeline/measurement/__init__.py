"""How customers do after they were grouped: KPIs by segment, drift, and what strategies bring.

What a night does with what is found here (a refit, a new model) belongs to `assets`; how segments
look by the features they are made of belongs to `segments`.
"""
