#!/bin/sh
# Makes what compose.yaml needs and lacks: the secrets, new and random, in secrets/, and
# kratos.yml and .env from their examples. It changes no file that exists.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

# random BYTES, as text that needs no quotes in URLs and in files of variables.
random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# new FILE takes the content from standard input, unless the file exists. The files are
# readable to all, because each container has a user of its own, in a directory that only
# you can enter.
new() {
	if [ -e "$1" ]; then
		cat >/dev/null
		return
	fi
	cat >"$1"
	chmod "${2:-0644}" "$1"
	echo "made $1" >&2
}

for name in hook-keys admin-key state-key log-hash-key postgres-password redis-password grafana-password; do
	random 32 | new "secrets/$name"
done

# What ferry may do in Redis: docs/settings.md.
new secrets/redis.conf <<EOF
appendonly yes
user default off
user ferry on >$(cat secrets/redis-password) ~ferry:* +get +set +del +getrange +pttl +pexpire +time +eval +evalsha +hset +hget +hdel +zadd +zscore +zrem +zrangebyscore +ping
EOF
printf 'redis://ferry:%s@redis:6379/0' "$(cat secrets/redis-password)" | new secrets/state-url

# Kratos reads no secrets from files. Each of these replaces a value of kratos.yml.
new secrets/kratos.env 0600 <<EOF
DSN=postgres://kratos:$(cat secrets/postgres-password)@postgres:5432/kratos?sslmode=disable
SECRETS_COOKIE=$(random 32)
SECRETS_CIPHER=$(random 16)
SELFSERVICE_METHODS_PASSWORD_CONFIG_MIGRATE_HOOK_CONFIG_AUTH_CONFIG_VALUE=Bearer $(cat secrets/hook-keys)
SELFSERVICE_FLOWS_LOGIN_AFTER_PASSWORD_HOOKS_0_CONFIG_AUTH_CONFIG_VALUE=Bearer $(cat secrets/hook-keys)
EOF

new kratos.yml <../../kratos.yml.example
new .env 0600 <env.example

[ -e secrets/auth0-client-secret ] || echo 'left to do: put the client secret of the Auth0 application into secrets/auth0-client-secret (chmod 0644)' >&2
echo 'left to do: fill in .env, and change in kratos.yml the pages of your login UI; compose.yaml replaces its secrets and addresses' >&2
