"""Speed, as ratios against a floor measured in the same run, so that a noisy machine does not decide."""
