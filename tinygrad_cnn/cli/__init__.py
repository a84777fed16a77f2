"""The command line, a file a subcommand: ``tinygrad-cnn`` and ``python -m tinygrad_cnn``.

Begin with `main`: its table ``COMMANDS`` names the subcommands. Each file adds its parser with a
function ``add_…``, and the function that runs it is the parser's default ``run``. A new subcommand
is a file and a row of that table. `arguments` holds what the parsers share.

What a subcommand needs is imported when it runs, so that ``--help`` comes at once.
"""
