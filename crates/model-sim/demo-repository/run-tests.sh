#!/bin/sh
# Runs every test; fails if one of them does. Needs nothing but a POSIX shell and awk.
cd "$(dirname "$0")" || exit 1
count=0
failed=0
for file in tests/test-*.sh; do
    count=$((count + 1))
    if sh "$file"; then
        echo "ok    $file"
    else
        echo "FAIL  $file"
        failed=$((failed + 1))
    fi
done
echo "$count tests, $failed failed"
[ "$failed" -eq 0 ]
