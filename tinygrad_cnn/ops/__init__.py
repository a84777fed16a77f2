"""The operations, one family a file; in each, an op's forward, rule and function stand together."""
