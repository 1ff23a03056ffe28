# Provenance in a form that is known, with all that went in.
package slsa_provenance_available

import rego.v1

deny contains {
	"rule": "attestation_predicate_type_accepted",
	"architecture": image.architecture,
	"message": "it has no provenance of SLSA, version 1",
	"cure": "sign with a key: --key FILE",
} if {
	some image in input.images
	not "https://slsa.dev/provenance/v1" in image.attested.predicates
}

deny contains {
	"rule": "materials_complete",
	"architecture": image.architecture,
	"message": sprintf("its provenance names %d materials, fewer than it has packages: %d", [
		image.attested.materials,
		image.attested.packages,
	]),
	"cure": "this is a fault of the factory: report it, with the lock",
} if {
	some image in input.images
	"https://slsa.dev/provenance/v1" in image.attested.predicates
	image.attested.materials < image.attested.packages
}
