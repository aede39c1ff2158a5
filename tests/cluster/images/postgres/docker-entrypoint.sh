#!/bin/bash
# Makes the database that the environment names, once, and becomes the server. As of the official image:
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS, PGDATA,
# /docker-entrypoint-initdb.d/*.sql; a first argument with a dash is one of `postgres`.
set -euo pipefail

[[ ${1:-} != -* ]] || set -- postgres "$@"
[[ ${1:-} == postgres ]] || exec "$@"

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
[[ -z ${POSTGRES_PASSWORD_FILE:-} ]] || POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")

if [[ ! -s $PGDATA/PG_VERSION ]]; then
  if [[ -z ${POSTGRES_PASSWORD:-} ]]; then
    echo "error: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to the superuser's password" >&2
    exit 1
  fi
  mkdir -p "$PGDATA"
  chmod 0700 "$PGDATA" 2>/dev/null || true
  # shellcheck disable=SC2086 # several options in one variable, as in the official image
  initdb --username="$user" --pwfile=<(echo "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-} >/dev/null
  # As in the official image: what it adds to initdb's own rules, which trust local connections.
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  # Nobody but this connects until the database is there.
  pg_ctl -D "$PGDATA" -w -s -o "-c listen_addresses='' -p 5432" start >/dev/null
  if [[ $database != postgres ]]; then
    psql -v ON_ERROR_STOP=1 -q -U "$user" -d postgres -v name="$database" <<<'CREATE DATABASE :"name";'
  fi
  for script in /docker-entrypoint-initdb.d/*.sql; do
    [[ ! -f $script ]] || psql -v ON_ERROR_STOP=1 -q -X -U "$user" -d "$database" -f "$script"
  done
  pg_ctl -D "$PGDATA" -m fast -w -s stop
fi
unset POSTGRES_PASSWORD

# Debian's server listens on loopback alone unless it is told otherwise.
exec postgres -c listen_addresses='*' "${@:2}"
