#!/usr/bin/env bash
# Any command of a page that needs AWS, under its own name: notes what it was given, for tests/it/documents/aws.rs,
# and says what the next command may need.
set -euo pipefail
name=$(basename "$0")
# A page may have Python make one file of another.
[[ $name != python3 || $1 == -m ]] || exec /usr/bin/env -S PATH=/usr/local/bin:/usr/bin:/bin python3 "$@"
printf '%s\0' "$name" "$@" $'\n' >>"$STAND_IN_NOTES"
case "$name $*" in
    *get-secret-value*) printf '{"username": "app", "password": "a-password"}\n' ;;
    *get-caller-identity*) printf '111122223333\n' ;;
    aws*--output\ text*) printf 'arn:aws:service:us-east-1:111122223333:thing:stand-in\n' ;;
esac
