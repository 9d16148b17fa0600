# fish completion of moesharp: the tool itself says what may come next
function __moesharp_complete
    moesharp "[suggest:"(commandline -C)"]" (commandline) 2>/dev/null
end
complete -c moesharp -a "(__moesharp_complete)"
