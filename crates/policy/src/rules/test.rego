# Tests: run, passed, and not skipped.
package test

import rego.v1

deny contains {
	"rule": "test_data_found",
	"architecture": image.architecture,
	"message": "its tests were not run",
	"cure": "run them on a machine with a container engine",
} if {
	some image in input.images
	image.tests == null
}

deny contains {
	"rule": "no_failed_tests",
	"architecture": image.architecture,
	"term": test.name,
	"message": sprintf("the test `%s` failed: %s", [test.name, test.reason]),
	"cure": "mend the image; `calypte test` runs it again",
} if {
	some image in input.images
	image.tests != null
	some test in image.tests.all
	test.outcome == "failed"
}

deny contains {
	"rule": "no_skipped_tests",
	"architecture": image.architecture,
	"term": test.name,
	"message": sprintf("the test `%s` was not run: %s", [test.name, test.reason]),
	"cure": "run it on a machine that can, or make an exception with an end",
} if {
	some image in input.images
	image.tests != null
	some test in image.tests.all
	test.outcome == "skipped"
	not test.excused
}
