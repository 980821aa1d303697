#!/bin/sh
# The entry point of the image: hands the variables to Spin, applies the migrations, and becomes Spin.
#
#   <NAME>                  a variable of spin.toml in upper case, such as DATABASE_HOST
#   <NAME>_FILE             a file that holds its value, such as a mounted secret
#   SPIN_VARIABLE_<NAME>    as Spin itself reads it; goes before the two others
#   PORT                    where to listen (4003)
#   MIGRATE                 on: migrate, then serve; off: only serve; only: migrate and end
#   MIGRATE_WAIT            how many seconds to wait for PostgreSQL, or for another deployment (60)
#   RUNTIME_CONFIG          a file of /app/runtime-config, without .toml (shared-database)
#   RUNTIME_CONFIG_FILE     any other one
#
# Spin's own variables (SPIN_MAX_INSTANCE_COUNT, ...) are passed on, and so are arguments.
# It ends with status 2 when something is not set as it must be, and with 1 when the migrations cannot be applied.
set -eu

app=${APP_DIR:-/app}
temporary=${TMPDIR:-/tmp}

say() {
    printf 'order-service: %s\n' "$*" >&2
}

refuse() {
    say "$*"
    exit 2
}

# Lines of [variables] in spin.toml, edited: "name = { required = true }".
manifest() {
    sed -n "/^\[variables\]/,/^\[/$1" "$app/spin.toml"
}

is_number() {
    case $1 in
        # A zero in front would make it octal to the shell.
        '' | *[!0-9]* | 0?* | ??????*) return 1 ;;
    esac
}

# The line end of a file that was written on Windows begins with one.
carriage_return=$(printf '\r')

# Exports SPIN_VARIABLE_<NAME> for each variable that is given, and sets value_<name> to what will be in force.
read_variables() {
    required=$(manifest 's/^\([a-z][a-z0-9_]*\) *=.*required *= *true.*/\1/p')
    missing=
    for name in $(manifest 's/^\([a-z][a-z0-9_]*\) *=.*/\1/p'); do
        upper=$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')
        eval "file=\${${upper}_FILE-}"
        if ! eval "[ \"\${SPIN_VARIABLE_$upper+set}\" ]"; then
            if [ "$file" ]; then
                eval "[ -z \"\${$upper-}\" ]" || refuse "$upper and ${upper}_FILE are both set: leave one of them out"
                value=$(cat -- "$file" 2>/dev/null) || refuse "${upper}_FILE cannot be read: $file"
                value=${value%"$carriage_return"}
                export "SPIN_VARIABLE_$upper=$value"
            elif eval "[ \"\${$upper+set}\" ]"; then
                eval "export SPIN_VARIABLE_$upper=\"\$$upper\""
            fi
        fi
        # shellcheck disable=SC2034 # The next line reads it.
        default=$(manifest "s/^$name *=.*default *= *\"\([^\"]*\)\".*/\1/p")
        eval "value=\${SPIN_VARIABLE_$upper-\$default} value_$name=\${SPIN_VARIABLE_$upper-\$default}"
        case " $(printf '%s' "$required" | tr '\n' ' ') " in
            *" $name "*) [ "$value" ] || missing="$missing $upper" ;;
        esac
        # Spin needs them once only.
        unset "$upper" "${upper}_FILE"
    done
}

# As the service has it: on Spin `require` verifies the server's certificate.
ssl_mode() {
    case $1 in
        require) echo verify-full ;;
        *) echo "$1" ;;
    esac
}

# In a subshell that becomes psql, so that a signal reaches it.
# shellcheck disable=SC2154 # read_variables sets value_...
apply_migrations() {
    export PGHOST="$value_database_host" PGPORT="$value_database_port" PGDATABASE="$value_database_name"
    export PGUSER="$value_database_username" PGPASSWORD="$value_database_password"
    PGSSLMODE=$(ssl_mode "$value_database_sslmode")
    export PGSSLMODE PGSSLROOTCERT="${PGSSLROOTCERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}"
    export PGCONNECT_TIMEOUT=5 PGAPPNAME=order-service-migrations
    # Without -w it would ask a terminal for a password that is not given, and wait for ever.
    exec psql -X -w -v "lock_wait=${1}s" -f "$app/migrations/apply.sql"
}

# A shell that is process 1 gets a signal only with a trap, and runs the trap only when it waits for a background job.
run_in_background() {
    "$@" &
    child=$!
    status=0
    wait "$child" || status=$?
    child=
}

stop() {
    trap - INT TERM
    [ -z "$child" ] || kill -s TERM "$child" 2>/dev/null || true
    [ -z "$output" ] || rm -f "$output"
    exit "$1"
}

now() {
    date +%s
}

# psql ends with 2 when there is no server, or none any more; "run this again" is what apply.sql says of locks.
migrate() {
    output=$temporary/migrations.$$
    deadline=$(($(now) + limit))
    has_told=
    while :; do
        left=$((deadline - $(now)))
        [ "$left" -ge 1 ] || left=1
        run_in_background apply_migrations "$left" >"$output" 2>&1
        if [ "$status" -eq 0 ]; then
            cat "$output"
            break
        fi
        reason=$(tr -s '\n\t ' '   ' <"$output" | sed 's, $,,')
        case $status:$reason in
            *'invalid integer value'* | *'invalid port number'* | *'invalid sslmode value'*)
                [ "$mode" = on ] || give_up "the migrations cannot be applied: $reason"
                # The service names the variable, in /health and in its log.
                say "the migrations are left out: $reason"
                break
                ;;
            2:* | *'run this again'*) ;;
            *) give_up "the migrations cannot be applied: $reason" ;;
        esac
        [ "$(now)" -lt "$deadline" ] || give_up "the migrations could not be applied within $limit s: $reason"
        [ "$has_told" ] || say "waiting for the database, $limit s at most: $reason"
        has_told=yes
        run_in_background sleep 1
    done
    rm -f "$output"
}

give_up() {
    rm -f "$output"
    say "$*"
    exit 1
}

# From the beginning: to process 1 a signal without a trap is none. Spin does not inherit them.
child=
output=
trap 'stop 130' INT
trap 'stop 143' TERM

[ -w "$temporary" ] || refuse "$temporary (TMPDIR) is not writable: mount a tmpfs there"
read_variables

mode=${MIGRATE:-on}
case $mode in
    on | off | only) ;;
    *) refuse "MIGRATE is neither on, off nor only: $mode" ;;
esac
limit=${MIGRATE_WAIT:-60}
is_number "$limit" || refuse "MIGRATE_WAIT is no number of seconds: $limit"
port=${PORT:-4003}
{ is_number "$port" && [ "$port" -ge 1 ] && [ "$port" -le 65535 ]; } || refuse "PORT is no port: $port"
if [ "$mode" != only ] && [ "$missing" ]; then
    refuse "not set:$missing (also taken: <NAME>_FILE, SPIN_VARIABLE_<NAME>)"
fi
if [ -z "${RUNTIME_CONFIG_FILE:-}" ]; then
    RUNTIME_CONFIG_FILE=$app/runtime-config/${RUNTIME_CONFIG:-shared-database}.toml
    [ -r "$RUNTIME_CONFIG_FILE" ] || refuse "RUNTIME_CONFIG names no file of $app/runtime-config: ${RUNTIME_CONFIG:-}"
fi
export RUNTIME_CONFIG_FILE

[ "$mode" = off ] || migrate
[ "$mode" != only ] || exit 0

# POSIX has no -S and -H; the shells of Debian do. Spin's server ends when it can open no more files, and 1,024 are fewer than it serves at once.
# shellcheck disable=SC3045
ulimit -S -n 65536 2>/dev/null || ulimit -S -n "$(ulimit -H -n)"

exec spin up --from "$app/spin.toml" --listen "0.0.0.0:$port" --state-dir "$temporary/spin" "$@"
