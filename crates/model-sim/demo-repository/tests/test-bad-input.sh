. tests/check.sh
sh bin/invoice tests/data/broken.csv > /dev/null 2>&1
check "a malformed file ends with code 1" "1" "$?"
sh bin/invoice > /dev/null 2>&1
check "a missing argument ends with code 2" "2" "$?"
