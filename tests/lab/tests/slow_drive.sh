#!/usr/bin/env bash
# The drive becomes slow in the middle of a replay. The replay ends by itself, and gives no wrong byte.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

new_file_system
write_config /run/config.toml
new_trace /run/trace 300
start_replay /run/trace /run/config.toml /run/report 30
"$LAB" fault drive-slow $((16 << 20)) 200 >/dev/null
wait "$replay_pid"
right_or_fail /run/report
checked "at 16 MiB/s: $(figure /run/report checked) blocks verified, 0 corrupt, in $(figure /run/report seconds) s"
