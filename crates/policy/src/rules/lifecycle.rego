# Nothing past its end of life.
package lifecycle

import rego.v1

deny contains {
	"rule": "end_of_life",
	"term": what,
	"message": what,
	"cure": "move users to a newer stream, and take this one out of the catalog",
} if {
	some what in input.lifecycle.ended
}
