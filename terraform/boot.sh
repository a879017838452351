#!/bin/bash
# The first boot of a machine: the data volume, the release, its settings. Terraform writes this after the values that it
# reads (VERSION, SHA256, ARTIFACTS, VOLUME, LISTEN, SETTINGS, ...). It may run again: what is there stays.
set -euo pipefail
umask 022
die() { echo "boot: $*" >&2; exit 1; }
DATA=/var/lib/wardpost
: "${FILE_SYSTEM:=xfs}"

# The database's volume, by its own number. A file system is made only where there is none of any kind.
for _ in $(seq 300); do [ -e "$VOLUME" ] && break; sleep 1; done
[ -e "$VOLUME" ] || die "the volume $VOLUME was not attached within 300 s"
found=$(blkid --probe --match-tag TYPE --output value "$VOLUME") && code=0 || code=$?
case $code:$found in
  "0:$FILE_SYSTEM") ;;
  0:*) die "$VOLUME holds ${found:-partitions}, not $FILE_SYSTEM: nothing was changed" ;;
  2:) "mkfs.$FILE_SYSTEM" -q "$VOLUME" ;;
  *) die "$VOLUME cannot be read for certain (blkid ends with $code): nothing was changed" ;;
esac
mkdir -p "$DATA"
# Where it does not come, no program starts: the units require it.
cat >/etc/systemd/system/var-lib-wardpost.mount <<UNIT
[Unit]
Description=Wardpost: the data volume
[Mount]
What=$VOLUME
Where=$DATA
Type=$FILE_SYSTEM
Options=nodev,nosuid,noexec
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now var-lib-wardpost.mount

# The journal is the buffer of the log lines.
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=persistent\nSystemMaxUse=2G\n' >/etc/systemd/journald.conf.d/wardpost.conf
systemctl restart systemd-journald

# The SSM agent asks IPv4 alone unless told otherwise.
if [ -n "${SSM_DUAL_STACK:-}" ]; then
  mkdir -p /etc/amazon/ssm
  echo '{"Agent":{"UseDualStackEndpoint":true}}' >/etc/amazon/ssm/amazon-ssm-agent.json
  systemctl restart amazon-ssm-agent || echo "boot: no SSM agent" >&2
fi

# The release whose sum was applied: anyone who can write to the bucket cannot change what runs here.
name=wardpost-$VERSION-x86_64.tar.gz
archive=$(mktemp -d)/$name
# It may be copied to the bucket while this waits.
for _ in $(seq 360); do aws s3 cp --no-progress "s3://$ARTIFACTS/$name" "$archive" && break; sleep 10; done
[ -e "$archive" ] || die "$name could not be fetched from $ARTIFACTS within an hour"
echo "$SHA256  $archive" | sha256sum --check --strict --status ||
  die "$name is not the release that was applied: its SHA-256 is $(sha256sum <"$archive")"
# Settings that are there already are the operator's.
keep=(); [ ! -e /etc/wardpost/wardpost.env ] || keep=(--exclude='*etc/wardpost/wardpost.env')
tar --extract --gzip --file "$archive" --directory / --no-same-owner --no-overwrite-dir "${keep[@]}"
rm -r "${archive%/*}"
systemd-sysusers wardpost.conf
systemd-tmpfiles --create wardpost.conf

settle() { # file, its mode, lines NAME=value: each name that the file does not set yet
  local line
  [ -n "$3" ] || return 0
  [ -e "$1" ] || install -m "$2" /dev/null "$1"
  while IFS= read -r line; do grep -q "^${line%%=*}=" "$1" || echo "$line" >>"$1"; done <<<"$3"
}
mkdir -p /etc/wardpost
settle /etc/wardpost/wardpost.env 640 "$SETTINGS"
settle /etc/wardpost/aws.env 600 "$AWS_SETTINGS"
settle /etc/wardpost/roles.env 644 "$ROLES"
mkdir -p /etc/systemd/system/wardpost-web.socket.d
printf '[Socket]\nListenStream=\nListenStream=%s\n' "$LISTEN" >/etc/systemd/system/wardpost-web.socket.d/listen.conf

# How full disk and memory are: a line of the application log, which alarms.tf reads.
cat >/usr/local/sbin/wardpost-machine <<'SCRIPT'
#!/bin/sh
disk=$(df --output=pcent /var/lib/wardpost | tr -dc 0-9)
memory=$(awk '/^MemTotal:/ { all = $2 } /^MemAvailable:/ { left = $2 } END { printf "%d", 100 - 100 * left / all }' /proc/meminfo)
echo "{\"level\":\"INFO\",\"program\":\"machine\",\"message\":\"how full the machine is\",\"disk_percent\":$disk,\"memory_percent\":$memory}"
SCRIPT
chmod 755 /usr/local/sbin/wardpost-machine
cd /etc/systemd/system
mkdir -p wardpost-machine.service.d
printf '[Service]\nProcSubset=all\n' >wardpost-machine.service.d/20-meminfo.conf
printf '[Service]\nType=oneshot\nDynamicUser=yes\nExecStart=/usr/local/sbin/wardpost-machine\n' >wardpost-machine.service
printf '[Timer]\nOnBootSec=1min\nOnUnitActiveSec=5min\n[Install]\nWantedBy=timers.target\n' >wardpost-machine.timer

systemctl daemon-reload
systemctl enable --now wardpost-machine.timer wardpost.target
