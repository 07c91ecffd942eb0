#!/bin/sh
# Runs a function binary with its standard error in its standard output, where tests can read both.
exec "$BOTH_OUTPUTS_OF" 2>&1
