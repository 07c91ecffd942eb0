# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# The house rules that no other tool checks. It needs common.sh.

SHELLCHECKED=

tidy() {
    local sound=yes file lines
    # Files about to be added count too.
    while read -r file; do
        [[ -f $file ]] || continue
        lines=$(wc -l <"$file")
        if ((lines > 350)); then
            warn "$file has $lines lines: more than 350 are too many to read at once"
            sound=no
        fi
        if grep -nE 'todo!\(|unimplemented!\(|FIXME' "$file" >&2; then
            warn "$file is unfinished"
            sound=no
        fi
    done < <(git ls-files --cached --others --exclude-standard -- '*.rs')

    local scripts=(scripts/lib/*.sh)
    for file in scripts/* .ci/run; do
        [[ -f $file && $(head -n 1 "$file") == '#!/usr/bin/env bash' ]] && scripts+=("$file")
    done
    for file in "${scripts[@]}"; do
        bash -n "$file" || sound=no
    done
    SHELLCHECKED="the scripts' syntax only, without shellcheck"
    if command -v shellcheck >/dev/null; then
        shellcheck --external-sources "${scripts[@]}" || sound=no
        SHELLCHECKED="the scripts with shellcheck"
    fi

    [[ $sound == yes ]] || die "the house rules do not hold"
}
