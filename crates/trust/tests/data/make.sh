#!/bin/sh
# Makes the fixtures of this folder anew with throw-away keys. Needs gpg (made with GnuPG 2.2.40) and python3.
set -eu
cd "$(dirname "$0")"
GNUPGHOME=$(mktemp -d); export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
MADE=20200102T000000
g() { gpg --batch --yes --quiet --pinentry-mode loopback --passphrase '' "$@"; }
at() { time=$1; shift; g --faked-system-time "$time!" "$@"; }
fingerprint() { g --with-colons --list-keys "$1@example.org" | awk -F: '$1 == "fpr" { print $10; exit }'; }
subkey() { g --with-colons --list-keys "$1@example.org" | awk -F: '$1 == "fpr" { last = $10 } END { print last }'; }

mkdir -p keys
key() { at $MADE --quick-generate-key "$1 (throw-away) <$1@example.org>" "$2" "$3" "$4"; }
key archive ed25519 cert never
at $MADE --quick-add-key "$(fingerprint archive)" ed25519 sign never
key other ed25519 sign never
key expired ed25519 sign 2021-01-01
key revoked ed25519 sign never
key weak rsa1024 sign never
for name in archive other expired weak; do g --export "$name@example.org" > keys/$name.gpg; done
g --armor --export archive@example.org > keys/archive.asc
printf 'Origin: Example\nSuite: test\nDate: Thu, 02 Jan 2020 00:00:00 UTC\nSHA256:\n - a line that is escaped\n-- another\n' > "$GNUPGHOME/text"
printf 'Origin: Example\nSuite: old\n' > "$GNUPGHOME/old"
# sign FOLDER KEY OPTION…: the standard text, by this key.
sign() {
  folder=$1; signer=$2; shift 2; mkdir -p "$folder"
  at 20200103T000000 --local-user "$signer" "$@" --output "$folder/InRelease" --clearsign "$GNUPGHOME/text"
}
ARCHIVE="$(subkey archive)!"
sign good "$ARCHIVE"
sign several "$ARCHIVE" --local-user other@example.org
sign unknown-key other@example.org
sign expired-key expired@example.org
sign revoked-key revoked@example.org
sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$(fingerprint revoked).rev" > "$GNUPGHOME/revocation"
g --import "$GNUPGHOME/revocation"
g --export revoked@example.org > keys/revoked.gpg
sign weak-key weak@example.org --digest-algo SHA256
sign weak-hash "$ARCHIVE" --digest-algo SHA1 --weak-digest MD5
sign expired-signature "$ARCHIVE" --default-sig-expire 10d
mkdir -p from-the-future
at 20990101T000000 --local-user "$ARCHIVE" --output from-the-future/InRelease --clearsign "$GNUPGHOME/text"
at 20200103T000000 --local-user "$ARCHIVE" --output "$GNUPGHOME/old.asc" --clearsign "$GNUPGHOME/old"
python3 - "$GNUPGHOME" <<'PYTHON'
import os, sys
home = sys.argv[1]
good = open('good/InRelease').read()
old = open(home + '/old.asc').read()
begin = '-----BEGIN PGP SIGNATURE-----'
def write(folder, text):
    os.makedirs(folder, exist_ok=True)
    open(folder + '/InRelease', 'wb').write(text.encode())
write('crlf', good.replace('\n', '\r\n'))
write('trailing-space', good.replace('Suite: test\n', 'Suite: test \t\n'))
write('altered-text', good.replace('Suite: test', 'Suite: evil'))
write('appended-text', good + 'Suite: evil\n')
write('prepended-text', 'Suite: evil\n' + good)
write('truncated', good[:good.index(begin) + 60])
write('not-signed', open(home + '/text').read())
write('other-message', good[:good.index(begin)] + old[old.index(begin):])
several = open('several/InRelease').read()
write('good-and-bad', good + old[old.index(begin):])
write('not-escaped', good.replace('- -- another', '-- another'))
write('second-message', good + old)
write('damaged-armor', good.replace(begin + '\n\n', begin + '\n\n????'))
# The last packet of the certificate is the binding of the subkey; the subkey's own statement is its subpacket 32.
key = open('keys/archive.gpg', 'rb').read()
open('keys/forged-binding.gpg', 'wb').write(key[:-1] + bytes([key[-1] ^ 1]))
place, packet = 0, 0
while place < len(key):
    packet, body = place, place + (2 if key[place] & 3 == 0 else 3)
    place = body + int.from_bytes(key[packet + 1:body], 'big')
hashed = int.from_bytes(key[body + 4:body + 6], 'big')
unhashed = body + 6 + hashed
end = unhashed + 2 + int.from_bytes(key[unhashed:unhashed + 2], 'big')
both = [(start, stop) for start, stop in ((body + 6, unhashed), (unhashed + 2, end))]
back = None
for start, stop in both:
    while start < stop:
        length = key[start]
        if key[start + 1] == 32:
            back = start + length
        start += 1 + length
forged = bytearray(key); forged[back] ^= 1
open('keys/forged-back-signature.gpg', 'wb').write(bytes(forged))
PYTHON
