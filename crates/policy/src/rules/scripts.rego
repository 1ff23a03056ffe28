# No maintainer script that nobody has read.
package scripts

import rego.v1

deny contains {
	"rule": "reviewed",
	"architecture": image.architecture,
	"term": script,
	"message": sprintf("nobody has reviewed %s", [script]),
	"cure": "read it, and add its verdict to the universe's scripts.yaml",
} if {
	some image in input.images
	some script in image.unknown_scripts
}
