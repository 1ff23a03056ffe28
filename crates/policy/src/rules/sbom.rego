# A bill of materials that names everything.
package sbom

import rego.v1

deny contains {
	"rule": "found",
	"architecture": image.architecture,
	"message": "its bill of materials names no package of its lock, or not all",
	"cure": "this is a fault of the factory: report it, with the lock",
} if {
	some image in input.images
	image.attested.components < image.attested.packages
}

deny contains {
	"rule": "files_explained",
	"architecture": image.architecture,
	"message": sprintf("%d of its files belong to no package, and nothing is known to have made them", [image.attested.unexplained_files]),
	"cure": "this is a fault of the factory: report it, with the lock",
} if {
	some image in input.images
	image.attested.unexplained_files > 0
}
