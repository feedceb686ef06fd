# Prints what was read: text for people, CSV for programs.

function print_text(    i) {
    for (i = 1; i <= count; i++)
        printf "%-20s %5d x %10s %12s\n", name[i], quantity[i], format_cents(unit[i]), format_cents(total[i])
    printf "%-20s %5s   %10s %12s\n", "Total", "", "", format_cents(sum)
}

function print_csv(    i) {
    print "name,quantity,price,total"
    for (i = 1; i <= count; i++)
        print name[i] "," quantity[i] "," format_cents(unit[i]) "," format_cents(total[i])
}

END {
    if (failed)
        exit 1
    if (format == "csv")
        print_csv()
    else
        print_text()
}
