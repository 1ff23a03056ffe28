# No image that suddenly weighs more.
package size

import rego.v1

deny contains {
	"rule": "growth",
	"architecture": image.architecture,
	"message": sprintf("it has grown from %d to %d bytes, by more than %d%%", [
		image.size_before,
		image.size,
		data.settings["growth-percent"],
	]),
	"cure": "look at what came in (`calypte diff`); if it is wanted, make an exception that ends soon",
} if {
	some image in input.images
	image.size_before != null
	image.size - image.size_before > data.settings["growth-bytes"]
	image.size * 100 > image.size_before * (100 + data.settings["growth-percent"])
}
