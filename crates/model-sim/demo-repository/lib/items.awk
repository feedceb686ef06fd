# Reads items, one a line: name,quantity,price. Empty lines and lines that begin with # do not count.

BEGIN { FS = "," }

function fail(reason) {
    print "invoice: " reason > "/dev/stderr"
    failed = 1
    exit 1
}

/^[ \t]*(#|$)/ { next }
NF != 3 { fail("expected name,quantity,price") }
$2 !~ /^-?[0-9]+$/ { fail("the quantity is not a whole number") }
$3 !~ /^-?[0-9]+(\.[0-9][0-9]?)?$/ { fail("the price is not an amount such as 12.50") }

{
    count++
    name[count] = $1
    quantity[count] = $2
    unit[count] = to_cents($3)
    total[count] = line_total($2, unit[count])
    sum += total[count]
}
