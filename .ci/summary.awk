# Reads what ctest printed and then each GoogleTest result (XML); prints every skipped case with its reason,
# every failed one with its first failure, and last one plain line: "N passed, N failed, N skipped". Exits with 1
# if any failed.
#
# A case is a GoogleTest case, or a whole ctest entry that is no GoogleTest binary. An entry that failed though
# all its recorded cases passed (it crashed, or ran out of time) counts as one more failed case.

function attribute(line, name,    rest, at) {
  at = index(line, " " name "=\"")
  if (!at) return ""
  rest = substr(line, at + length(name) + 3)
  return plain(substr(rest, 1, index(rest, "\"") - 1))
}

function plain(text) {
  gsub(/&#x0A;/, " ", text)
  gsub(/&quot;/, "\"", text)
  gsub(/&apos;/, "'", text)
  gsub(/&lt;/, "<", text)
  gsub(/&gt;/, ">", text)
  gsub(/&amp;/, "\\&", text)
  return text
}

function end_case() {
  if (current == "") return
  if (failing) {
    failed++
    failed_in[binary]++
    failures[++failure_count] = current ": " fail_reason
  } else if (skip_reason != "") {
    skipped++
    skips[++skip_count] = current ": " skip_reason
  } else {
    passed++
  }
  current = ""
}

FNR == 1 {
  file_number++
  binary = FILENAME
  sub(/.*\//, "", binary)
  sub(/\.xml$/, "", binary)
  if (file_number > 1) recorded[binary] = 1
}

# " 3/17 Test  #5: slots_test .........***Failed    0.01 sec"
file_number == 1 && /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
  name = $0
  sub(/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /, "", name)
  verdict = name
  sub(/ .*/, "", name)
  verdict = substr(verdict, length(name) + 1)
  sub(/^[ .*]+/, "", verdict)
  entries[++entry_count] = name
  entry_verdict[name] = verdict
}

file_number > 1 && /^ *<testcase / {
  end_case()
  current = attribute($0, "classname") "." attribute($0, "name")
  failing = 0
  skip_reason = ""
  if (attribute($0, "result") == "suppressed") skip_reason = "disabled"
  if (attribute($0, "result") == "skipped") skip_reason = "no reason given"
}
file_number > 1 && /^ *<skipped message=/ { skip_reason = attribute($0, "message") }
file_number > 1 && /^ *<failure message=/ && !failing++ { fail_reason = attribute($0, "message") }
file_number > 1 && /^ *<\/testsuite>/ { end_case() }

END {
  for (i = 1; i <= entry_count; i++) {
    name = entries[i]
    verdict = entry_verdict[name]
    if (verdict ~ /Skipped|Disabled/) {
      skipped++
      skips[++skip_count] = name ": see its output above"
    } else if (verdict ~ /^Passed /) {
      if (!(name in recorded)) passed++
    } else if (!failed_in[name]) {
      failed++
      failures[++failure_count] = name " (" verdict ")"
    }
  }
  if (skip_count) print "\nSkipped, and why:"
  for (i = 1; i <= skip_count; i++) print "  " skips[i]
  if (failure_count) print "\nFailed:"
  for (i = 1; i <= failure_count; i++) print "  " failures[i]
  printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped
  exit failed > 0
}
