# Read by every test.

# check WHAT EXPECTED ACTUAL
check() {
    if [ "$2" != "$3" ]; then
        printf '%s\n  expected: %s\n  actual:   %s\n' "$1" "$2" "$3"
        exit 1
    fi
}

# The amount at the end of the line that begins with the given name.
amount_of() {
    sh bin/invoice "$2" | awk -v name="$1" 'index($0, name) == 1 { print $NF }'
}
