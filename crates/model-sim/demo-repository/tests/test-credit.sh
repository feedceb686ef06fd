. tests/check.sh
check "a returned item is a credit" "-120.00" "$(amount_of Chair tests/data/credit.csv)"
