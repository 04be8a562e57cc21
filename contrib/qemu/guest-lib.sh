# What the scripts that run inside the machines have in common. Sourced by bash; what it says goes to the second serial port,
# where `PASS`, `FAIL` and `END` are counted, and `QEMU …` is for the machine's own monitor.

say() { printf '%s\n' "$*"; }

# check WHAT FOUND EXPECTED: FOUND matches the extended regular expression, whole
check() {
    if [[ $2 =~ ^($3)$ ]]; then say "PASS $1: ${2//$'\n'/ | }"; else say "FAIL $1: found '${2//$'\n'/ | }', expected '$3'"; fi
}
# succeeds WHAT COMMAND...
succeeds() {
    local what=$1 out
    shift
    if out=$("$@" 2>&1); then say "PASS $what: ${out//$'\n'/ | }"; else say "FAIL $what: exit $?: ${out//$'\n'/ | }"; fi
}
# until_true COMMAND...: for at most a minute
until_true() {
    for ((i = 0; i < 300; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done
    return 1
}
permissions() { stat -c '%a %U:%G' "$1" 2>&1; }
