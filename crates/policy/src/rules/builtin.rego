# Signed and complete evidence. Conforma checks these two itself, under the same names.
package builtin

import rego.v1

needed := {
	"https://slsa.dev/provenance/v1",
	"https://spdx.dev/Document",
	"https://cyclonedx.org/bom",
	"https://openvex.dev/ns",
	"https://in-toto.io/attestation/test-result/v0.1",
	"https://in-toto.io/attestation/vulns/v0.2",
}

deny contains {
	"rule": "image.signature_check",
	"message": "nothing signs the image",
	"cure": "name a key: --key FILE (`calypte key` makes one)",
} if {
	input.signer == null
}

deny contains {
	"rule": "image.signature_check",
	"message": "there is no image for any machine",
	"cure": "lock the family anew, and build it",
} if {
	count(input.images) == 0
}

deny contains {
	"rule": "attestation.signature_check",
	"architecture": image.architecture,
	"term": kind,
	"message": sprintf("no statement of the type %s would be attached", [kind]),
	"cure": "run all of it: scan (`calypte advisories update` first) and tests",
} if {
	some image in input.images
	some kind in needed
	not kind in image.attested.predicates
}
