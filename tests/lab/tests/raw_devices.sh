#!/usr/bin/env bash
# The block device and the character device of a drive hold blocks as files do, respect what is on them, can be
# polled where the driver has queues for that, and die alone.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

export KELVIN_TEST_BLOCK_DEVICE=/dev/nvme0n1 KELVIN_TEST_CHAR_DEVICE=/dev/ng0n1 KELVIN_TEST_DISCARDS=1
[[ -c $KELVIN_TEST_CHAR_DEVICE ]] || skipped "there is no character device"

# run_tests BINARY FILTER: at least one has run, and none has failed.
run_tests() {
  timeout 300 "$LAB_BUILD/tests/$1" --gtest_filter="$2" >/run/tests.log 2>&1 || {
    cat /run/tests.log
    failed "$1 $2"
  }
  passed=$(grep -c '^\[       OK' /run/tests.log) || {
    cat /run/tests.log
    failed "$1 $2: not one test ran"
  }
}

run_tests nvme_device_test '*/Block:*/Char:-*Polling*:*Pulled*'
checked "$passed tests of blocks on $KELVIN_TEST_BLOCK_DEVICE and $KELVIN_TEST_CHAR_DEVICE"
[[ $(grep -c '32 of 32 discarded blocks are gone' /run/tests.log) == 2 ]] || failed "discards: $(grep discarded /run/tests.log)"
checked "$(grep 'discarded blocks' /run/tests.log | xargs)"
run_tests nvme_signature_test '*/Block:*/Char'
checked "$passed tests of what may be there already"

modprobe -r nvme
modprobe nvme poll_queues=1
until_it_works test -c "$KELVIN_TEST_CHAR_DEVICE"
until_it_works test -b "$KELVIN_TEST_BLOCK_DEVICE"
run_tests nvme_device_test '*Polling*/Block:*Polling*/Char'
checked "$passed tests of polling"

# Unplugging takes its time: the command ends when the devices are gone.
# shellcheck disable=SC2016 # for the shell that runs it
pull='"$LAB" fault drive-gone >/dev/null; for i in $(seq 600); do [ -e /dev/nvme0n1 ] || exit 0; sleep 0.1; done; exit 1'
for device in Block Char; do
  KELVIN_TEST_PULL_COMMAND=$pull run_tests nvme_device_test "*Pulled*/$device"
  "$LAB" fault drive-back >/dev/null
  until_it_works test -c "$KELVIN_TEST_CHAR_DEVICE"
  until_it_works test -b "$KELVIN_TEST_BLOCK_DEVICE"
done
checked "a drive pulled out of a striped tier, as either device: only its blocks were lost"
