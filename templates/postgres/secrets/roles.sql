-- Rendered by infra: edits here do not last. Every statement may run any number of times.
-- What fails is not written to the server's log: it may hold a password.
SET log_min_error_statement = panic;
SET log_statement = none;
SET password_encryption = 'scram-sha-256';
SET client_min_messages = warning;
{% for role in roles %}
SELECT 'CREATE ROLE "{{ role.name }}"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{{ role.name }}') \gexec
ALTER ROLE "{{ role.name }}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD $infra${{ secrets[role.password] }}$infra$;
{% endfor %}{% for database in databases %}
SELECT 'CREATE DATABASE "{{ database.name }}"' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{{ database.name }}') \gexec
ALTER DATABASE "{{ database.name }}" OWNER TO "{{ database.owner }}";
REVOKE ALL ON DATABASE "{{ database.name }}" FROM PUBLIC;
{%- if database?.members %}{% for member in database.members %}
GRANT "{{ database.owner }}" TO "{{ member }}";
{%- endfor %}{% endif %}
{% endfor %}{% for database in databases %}{% if database?.extensions %}
\connect "{{ database.name }}"
SET client_min_messages = warning;
{%- for extension in database.extensions %}
-- An image without it is told by the application, in its own words.
SELECT 'CREATE EXTENSION IF NOT EXISTS "{{ extension }}" CASCADE' WHERE EXISTS (SELECT FROM pg_available_extensions WHERE name = '{{ extension }}') \gexec
{%- endfor %}
{% endif %}{% endfor %}
