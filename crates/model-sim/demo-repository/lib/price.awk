# What a line of the invoice costs.

# In cents. A negative quantity is a credit.
function line_total(quantity, unit_cents) {
    return quantity * unit_cents
}
