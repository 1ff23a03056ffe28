# Licences that are not to be passed on.
package licences

import rego.v1

deny contains {
	"rule": "denied",
	"architecture": image.architecture,
	"term": known.name,
	"message": sprintf("%s is under %s", [known.name, licence]),
	"cure": "take the package out of the image",
} if {
	some image in input.images
	some known in image.licences
	some licence in known.licences
	licence in data.settings["denied-licences"]
}

deny contains {
	"rule": "known",
	"architecture": image.architecture,
	"term": known.name,
	"message": sprintf("under which licence %s is, is not known", [known.name]),
	"cure": "take the package out of the image, or make an exception once its licence was read",
} if {
	data.settings["refuse-unknown-licences"]
	some image in input.images
	some known in image.licences
	count(known.licences) == 0
}
