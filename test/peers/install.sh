#!/usr/bin/env bash
# Promises that the Debian packages the system tests talk to are on this machine: real mail servers, clients and a browser.
# Installs what is missing when it may (root), and otherwise says the one command that does. No service of the
# distribution is left running: every peer is started by its test, on loopback, with a configuration of its own.
set -euo pipefail

packages=(postfix swaks libnet-ssleay-perl dovecot-core dovecot-lmtpd haproxy unbound ldnsutils chromium)
packages+=(pebble rsyslog rsyslog-gnutls pflogsumm prometheus)
services=(postfix dovecot haproxy unbound rsyslog prometheus)

missing=()
for package in "${packages[@]}"; do
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ "$(id -u)" -ne 0 ]]; then
  echo "The system tests need Debian packages that are missing here. Install them with:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

# Debian asks policy-rc.d before a package starts its service; 101 means "not allowed". One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
# Postfix wants an answer before it installs; ours never uses the configuration this makes.
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
apt-get -o DPkg::Lock::Timeout=300 -qq update
apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "${missing[@]}" >/dev/null

# A service that started in spite of it is stopped by its own script: only what this installation brought.
for service in "${services[@]}"; do
  if [[ " ${missing[*]} " == *" ${service%%-*}"* && -x "/etc/init.d/$service" ]]; then
    "/etc/init.d/$service" stop >/dev/null 2>&1 || true
  fi
done
