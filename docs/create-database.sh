#!/bin/sh
# Makes Percorso's role and database on a new PostgreSQL server. The role owns the database and is nothing more:
# a superuser, or one with BYPASSRLS, would see through the walls between workspaces.
set -eu
psql --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres --set=password="$DATABASE_PASSWORD" <<'SQL'
CREATE ROLE percorso LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE percorso OWNER percorso ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0;
SQL
