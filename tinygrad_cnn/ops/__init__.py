"""The operations, one family a file; an op's forward, rule and function are together."""
