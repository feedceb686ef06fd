# Money is counted in whole cents, so that sums are exact.

# "12.5" or "12.50" to 1250; the caller has checked the form.
function to_cents(text,    negative, parts) {
    negative = sub(/^-/, "", text)
    split(text, parts, ".")
    return (negative ? -1 : 1) * (parts[1] * 100 + substr(parts[2] "00", 1, 2))
}

# 1250 to "12.50".
function format_cents(cents,    sign) {
    sign = cents < 0 ? "-" : ""
    if (cents < 0)
        cents = -cents
    return sprintf("%s%d.%02d", sign, int(cents / 100), cents % 100)
}
