. tests/check.sh
check "the export has plain amounts that a spreadsheet can read" \
    "Server,1,1234567.89,1234567.89" "$(sh bin/invoice --csv tests/data/server.csv | tail -n 1)"
