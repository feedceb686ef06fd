. tests/check.sh
check "a pencil costs its price times its quantity" "6.00" "$(amount_of Pencil tests/data/school.csv)"
check "the total is the sum of the lines" "21.95" "$(amount_of Total tests/data/school.csv)"
