# SPDX-License-Identifier: Apache-2.0
# Completion of tallyman for bash: source it, or copy it to
# /usr/share/bash-completion/completions/tallyman.

_tallyman() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words='' files=no

    if ((COMP_CWORD == 1)); then
        words='run check ship replay setup verify --help --version'
    elif [[ $before == -c || $before == --state || $before == --dashboards ]]; then
        files=yes
    elif [[ $before == --log-level ]]; then
        words='error warn info debug'
    elif [[ $command == run ]]; then
        words='-c --log-level --help'
    elif [[ $before == --parser ]]; then
        words='audit json'
    elif [[ $before =~ ^--(hosts|output|give-up|retention|show|wait)$ ]]; then
        words=''
    elif [[ $command == ship ]]; then
        words='-c --output --hosts --parser --state --give-up --quiet --json
            --log-level --help'
        files=yes
    elif [[ $command == replay ]]; then
        words='-c --output --dry-run --hosts --parser --state --give-up --quiet
            --json --log-level --help'
    elif [[ $command == setup ]]; then
        words='-c --output --hosts --retention --dashboards --dry-run --force
            --json --help'
    elif [[ $command == verify ]]; then
        words='-c --output --hosts --repair --parser --state --json --quiet --show
            --wait --log-level --help'
        files=yes
    elif [[ $command == check ]]; then
        words='--options --help'
        files=yes
    fi

    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if [[ $files == yes && $word != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -F _tallyman tallyman
