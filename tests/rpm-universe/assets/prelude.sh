# What the recipes' shell lines may call. They run in the tree that becomes the package, after the Debian packages have
# been unpacked into it; `$arch` is x86_64, aarch64, i686 or noarch, and `$loader` the dynamic loader's file.
set -eu
umask 022

# Keeps only these paths.
keep() {
    mkdir .kept
    for path; do
        cp -a --link --parents "$path" .kept/
    done
    find . -mindepth 1 -maxdepth 1 ! -name .kept -exec rm -rf {} +
    find .kept -mindepth 1 -maxdepth 1 -exec mv {} . \;
    rmdir .kept
}

# Writes standard input to a file, with the directories above it.
file() {
    mkdir -p "$(dirname "$1")"
    cat > "$1"
}

# Writes an executable file.
program() {
    file "$1"
    chmod 755 "$1"
}

# A link and the directories above it: name, then target.
link() {
    mkdir -p "$(dirname "$1")"
    ln -s "$2" "$1"
}
