"""Whether there is structure: the evidence for segments, and the verdict that is published.

Stability is not structure: K-Means cuts one correlated Gaussian into halves that reappear in
every resample. So the verdict rests on three independent questions:

- `null_test`: do features combine beyond what their correlations explain?
- `border`: are customers rarer between neighbouring segments than in their centres?
- `stability` (beside this package): does every segment reappear when customers are resampled?

`examination` answers them for each candidate on bounded samples, `verdict` judges, `one_split`
says when a segmentation is one cut of one feature, `link_leak` compares families of algorithms.
Nothing here reads a warehouse or knows an orchestrator.
"""
