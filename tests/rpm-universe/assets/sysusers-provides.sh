#!/bin/sh
# Reads names of sysusers.d files, prints what a package with these files provides: for each account the whole line in
# base64 as the version, as rpm itself has done since 4.19.
while read -r file; do
    while IFS= read -r line; do
        # shellcheck disable=SC2086
        set -f -- $line
        encoded=$(printf '%s' "$line" | base64 --wrap=0)
        case "$1" in
        u | 'u!')
            echo "user($2) = $encoded"
            echo "group($2) = $encoded"
            ;;
        g) echo "group($2) = $encoded" ;;
        m) echo "groupmember($2/$3) = $encoded" ;;
        esac
    done < "$file"
done
