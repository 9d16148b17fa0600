# bash completion of moesharp: the tool itself says what may come next
_moesharp() {
    local word=${COMP_WORDS[COMP_CWORD]} IFS=$'\n'
    COMPREPLY=($(compgen -W "$(moesharp "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)" -- "$word"))
}
complete -o default -F _moesharp moesharp
