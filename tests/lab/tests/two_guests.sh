#!/usr/bin/env bash
# Two guests reach each other, by Ethernet and by RDMA. Runs in both; the first one serves.
# lab: --hosts 2
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

pingpong=(ibv_rc_pingpong -d rxe0 -g 1 -c -n 50)
for tries in $(seq 60); do # the other one may boot more slowly
  if ping -q -c 1 -W 1 "10.77.0.$((3 - LAB_HOST))" >/dev/null 2>&1; then break; fi
done
ready=$LAB_SCRATCH/serving
if [[ $LAB_HOST == 1 ]]; then
  touch "$ready"
  timeout 60 "${pingpong[@]}" || failed "the server's side of RDMA"
else
  for tries in $(seq 60); do if [[ -e $ready ]]; then break; fi; sleep 1; done
  sleep 1
  timeout 60 "${pingpong[@]}" 10.77.0.1 || failed "the client's side of RDMA, after $tries s"
fi
checked "50 RDMA messages between the guests arrived as they were sent"
