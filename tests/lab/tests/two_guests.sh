#!/usr/bin/env bash
# Two guests reach each other by RDMA. Runs in both; the first one serves.
# lab: --hosts 2
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

pingpong=(timeout 180 ibv_rc_pingpong -d rxe0 -g 1 -c -n 50)
if [[ $LAB_HOST == 1 ]]; then
  "${pingpong[@]}" || failed "the server's side of RDMA"
else
  until_it_works "${pingpong[@]}" 10.77.0.1
fi
checked "50 RDMA messages between the guests arrived as they were sent"
