#compdef moesharp
# zsh completion of moesharp: the tool itself says what may come next
_moesharp() {
    local -a candidates
    candidates=("${(@f)$(moesharp "[suggest:$CURSOR]" "$BUFFER" 2>/dev/null)}")
    candidates=("${(@)candidates:#}")
    if (( ${#candidates} )); then compadd -a candidates; else _files; fi
}
if [[ ${funcstack[1]} == _moesharp ]]; then _moesharp "$@"; else compdef _moesharp moesharp; fi
