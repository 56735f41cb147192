#!/usr/bin/env bash
# The memory of the CXL node is taken offline while a replay uses it: the kernel refuses, or moves its pages elsewhere;
# either way no byte is wrong.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

write_config /run/config.toml
awk '/^path *=/ { $0 = "path = \"/dev/nvme0n1\"" }
  /^name *= "nvme"/ { print "name = \"cxl\"\nkind = \"cxl\"\ncapacity = \"16MiB\"\n\n[[tier]]" } { print }' \
  /run/config.toml >/run/far.toml
new_trace /run/trace 1500 rag
start_replay /run/trace /run/far.toml /run/report 8
maps=/proc/$(pgrep -n -x kelvin)/numa_maps
on_node=$(awk '/bind[^ ]*:2 / { for (i = 1; i <= NF; i++) if ($i ~ /^N2=/) sum += substr($i, 4) } END { print sum + 0 }' "$maps")
[[ $on_node -gt 0 ]] || failed "nothing is bound to node 2: $(grep -c . "$maps") lines in numa_maps"
checked "numa_maps: $on_node pages are bound to node 2 and lie there"
if daxctl offline-memory dax0.0 >/run/offline.log 2>&1; then
  verdict="taken offline under the replay"
else
  verdict="refused by the kernel"
fi
wait "$replay_pid" || true
right_or_fail /run/report
checked "offline: $verdict; $(figure /run/report checked) blocks verified, 0 corrupt"
