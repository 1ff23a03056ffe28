# No stale universe: a mirror that stands still has no security fixes.
package freshness

import rego.v1

deny contains {
	"rule": "universe_found",
	"message": "the lock names no repository",
	"cure": "lock the family anew",
} if {
	count(input.repositories) == 0
}

deny contains {
	"rule": "no_stale_universe",
	"term": repository.name,
	"message": sprintf("it was locked when the index of %s was past its time", [repository.name]),
	"cure": "lock the family anew from a mirror that is up to date",
} if {
	some repository in input.repositories
	repository.stale
}

deny contains {
	"rule": "universe_age",
	"term": repository.name,
	"message": sprintf("the index of %s that it was locked from is %d days old, more than %d", [
		repository.name,
		floor((input.now - repository.date) / 86400),
		data.settings["index-days"],
	]),
	"cure": "lock the family anew",
} if {
	some repository in input.repositories
	not repository.stale
	input.now - repository.date > data.settings["index-days"] * 86400
}
