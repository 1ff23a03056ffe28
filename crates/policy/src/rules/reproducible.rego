# A second build gives the same.
package reproducible

import rego.v1

deny contains {
	"rule": "second_build_found",
	"architecture": image.architecture,
	"message": "it was not built a second time",
	"cure": "let the pipeline build twice (--rebuild)",
} if {
	some image in input.images
	image.rebuilt == null
}

deny contains {
	"rule": "same_digest",
	"architecture": image.architecture,
	"message": sprintf("a second build gave %s, not %s", [image.rebuilt.digest, image.digest]),
	"cure": "this is a fault of the factory: report it, with the lock",
} if {
	some image in input.images
	image.rebuilt != null
	image.rebuilt.digest != image.digest
}
