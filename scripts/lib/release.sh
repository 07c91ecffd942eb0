# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# What scripts/release makes of this tree. It needs common.sh, packages.sh and sam.sh.

RELEASE_TARGET= # cargo's target folder
RELEASE_LICENCES= # the texts of all dependencies' licences
RELEASE_ROTATORS=(postgres mysql mongodb sqlserver redis iam api)

# The budgets of docs/bench.md for a function, in bytes: its executable, and a zip of it.
RELEASE_BUDGETS=(6500000 3000000)

# Pinned: the same sources should be described by the same words.
CYCLONEDX_VERSION=0.5.9

release_version() {
    sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml
}

# release_plugin TOOLS NAME VERSION: a plugin of cargo, built once.
release_plugin() {
    local tools=$1 name=$2 version=$3
    if ! grep -qF "\"$name $version " "$tools/.crates.toml" 2>/dev/null; then
        say "building $name into $tools, once (some minutes)"
        show cargo install "$name" --locked --version "$version" --root "$tools"
    fi
}

# What a compiler would write of this machine's folders into an executable: it would keep two
# machines from making the same bytes.
release_flags() {
    local home=${CARGO_HOME:-$HOME/.cargo} sysroot commit source
    sysroot=$(rustc --print sysroot)
    commit=$(rustc -vV | sed -n 's/^commit-hash: //p')
    local from=("$PWD=/fourstep" "$RELEASE_TARGET=/target" "$sysroot/lib/rustlib/src/rust=/rustc/$commit")
    # The name of this folder says which mirror the crates came from.
    for source in "$home"/registry/src/*/; do
        from+=("${source%/}=/crates")
    done
    # RUSTFLAGS is split at spaces.
    ! printf '%s\n' "${from[@]}" | grep -q " " || die "a folder of this build has a space in its name"
    printf -- '--remap-path-prefix=%s ' "${from[@]}"
}

# Both processors' executables are made of the same crates.
release_licences() {
    cargo metadata --format-version 1 --locked --filter-platform x86_64-unknown-linux-gnu |
        python3 scripts/lib/licences.py "${RELEASE_ROTATORS[@]/#/rotate-}" fourstep-cli >"$RELEASE_LICENCES"
    head -n 1 "$RELEASE_LICENCES"
}

# release_target ARCHITECTURE: Rust's name for it.
release_target() {
    case $1 in
        arm64) printf 'aarch64-unknown-linux-gnu\n' ;;
        x86_64) printf 'x86_64-unknown-linux-gnu\n' ;;
        *) die "no architecture is called $1: arm64 or x86_64" ;;
    esac
}

# release_build ARCHITECTURE PACKAGE BINARY: links against the glibc of Lambda. One package at a time, as
# `sam build` does it: cargo would otherwise give each the features of all.
release_build() {
    local target binary=$RELEASE_TARGET/lambda/$3/bootstrap newest
    target=$(release_target "$1")
    show rustup --quiet target add "$target"
    rm -f "$binary"
    RUSTFLAGS=$(release_flags) PATH=$SAM_BIN:$PATH CARGO_LAMBDA_DISABLE_UPDATE_CHECK=1 \
        show cargo lambda build --release --locked --target "$target" --package "$2" --bin "$3"
    # The glibc of Lambda's image, provided.al2023, is 2.34.
    newest=$(grep -aoE 'GLIBC_[0-9.]+' "$binary" | sort -Vu | tail -n 1)
    [[ $(printf '%s\n' "$newest" GLIBC_2.34 | sort -V | tail -n 1) == GLIBC_2.34 ]] ||
        die "$binary needs $newest, and Lambda has GLIBC_2.34"
    # `.cargo` itself may be a word of a message; a folder of this machine may not.
    if grep -aqF -e "$PWD/" -e "${CARGO_HOME:-$HOME/.cargo}/" "$binary"; then
        die "$binary names folders of this machine"
    fi
}

# release_fits ROTATOR: the function that was built keeps to its budgets. It is compressed as zip does it, which
# the archives of a release are not.
release_fits() {
    local binary=$RELEASE_TARGET/lambda/rotate-$1/bootstrap sizes
    sizes=("$(stat -c %s "$binary")" "$(gzip -9 <"$binary" | wc -c)")
    say "rotate-$1: ${sizes[0]} bytes, ${sizes[1]} in a zip"
    ((sizes[0] <= RELEASE_BUDGETS[0] && sizes[1] <= RELEASE_BUDGETS[1])) ||
        die "rotate-$1 is over the budgets of docs/bench.md: ${RELEASE_BUDGETS[*]} bytes"
}

# release_zip OUT NAME=FILE...: with the licences.
release_zip() {
    python3 scripts/lib/archive.py "$@" "LICENSE-APACHE=LICENSE-APACHE" "LICENSE-MIT=LICENSE-MIT" \
        "LICENSES-THIRD-PARTY.txt=$RELEASE_LICENCES"
    say "$(basename "$1"): $(stat -c %s "$1") bytes"
}

# release_template FILE ARCHITECTURE VERSION: a template that deploys the archives beside it.
release_template() {
    sed -E -e '/^ +Metadata: \{BuildMethod: /d' \
        -e "s#CodeUri: (\.\./)?rotators/([a-z]+)/#CodeUri: rotate-\2-$3-$2.zip#" \
        -e "s/SemanticVersion: .*/SemanticVersion: $3/" -e 's#(LicenseUrl|ReadmeUrl): \.\./(docs/)?#\1: #' \
        -e "/^  [aA]rchitecture:/,/Description:/{s/Default: .*/Default: $2/;s/AllowedValues: .*/AllowedValues: [$2]/}" "$1"
}

# release_engine ENGINE FILE: deploy/aws-shape.yaml is PostgreSQL's; another engine's differs in names.
release_engine() {
    local says
    case $1 in
        postgres) return ;;
        mysql) says=MySQL ;;
        mongodb) says=MongoDB ;;
    esac
    sed -i -e "s/postgres/$1/g" -e "s/PostgreSQL/$says/g" "$2"
}

# release_notes VERSION: its section of the changelog, or what is not released yet.
release_notes() {
    local section=$1
    grep -q "^## \[$1\]" CHANGELOG.md || section=Unreleased
    printf '# Fourstep %s\n' "$1"
    awk -v head="## [$section]" 'index($0, "## [") == 1 { inside = index($0, head) == 1; next } inside' CHANGELOG.md
    cat <<-TEXT

		Built by $(rustc --version), ${SAM_PACKAGES[2]/==/ } and ${SAM_PACKAGES[3]/==/ } from commit $(git rev-parse HEAD 2>/dev/null || printf 'unknown').
		\`scripts/release --version $1\` makes them again; \`sha256sum --check SHA256SUMS\` compares.
	TEXT
}

# release_sboms FOLDER VERSION: a CycloneDX file for each executable, whose crates are the same on both
# processors. The plugin writes beside each Cargo.toml, so it works on a copy.
release_sboms() {
    local copy=$SCRATCH/sources package
    mkdir "$copy"
    git ls-files -z | xargs -0 cp --parents -t "$copy"
    (
        cd "$copy" || exit
        # The time of the sources, so that the files are the same tomorrow.
        SOURCE_DATE_EPOCH=$(git -C "$OLDPWD" log -1 --format=%ct 2>/dev/null || printf '315532800')
        export SOURCE_DATE_EPOCH
        show cargo cyclonedx --quiet --format json --spec-version 1.5 \
            --describe binaries --target x86_64-unknown-linux-gnu --all
    )
    for package in "${RELEASE_ROTATORS[@]/#/rotate-}" fourstep; do
        local file
        file=$(find "$copy" -name "${package}_bin.cdx.json")
        [[ -n $file ]] || die "there is no SBOM of $package"
        # Where the copy was.
        sed "s#file://$copy#file:///fourstep#g; s#$copy#/fourstep#g" "$file" >"$1/$package-$2.cdx.json"
    done
}
