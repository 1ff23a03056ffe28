# Known flaws: none that has a fix, and a scan that can tell.
package cve

import rego.v1

day := 86400

deny contains {
	"rule": "cve_results_found",
	"architecture": image.architecture,
	"message": "it was not scanned",
	"cure": "read the advisories (`calypte advisories update`), and scan",
} if {
	some image in input.images
	image.scan == null
}

deny contains {
	"rule": "cve_results_found",
	"architecture": image.architecture,
	"term": reason,
	"message": sprintf("what the scan found may not be all: %s", [reason]),
	"cure": "update the feeds: `calypte advisories update`",
} if {
	some image in input.images
	image.scan != null
	some reason in image.scan.unknown
}

# When the fix is not known to be that old, it counts as old enough.
within_leeway(finding) if {
	finding.fix_since != null
	data.settings["cve-leeway-days"] > 0
	input.now - finding.fix_since < data.settings["cve-leeway-days"] * day
}

deny contains {
	"rule": "cve_blockers",
	"architecture": image.architecture,
	"term": finding.id,
	"message": sprintf("%s (%s) is in %s %s, and %s fixes it", [
		finding.id,
		finding.severity,
		finding.name,
		finding.version,
		concat(", ", finding.fixed),
	]),
	"cure": "lock the family anew; if its universe does not have the fix yet, wait for it, or make an exception with an end",
} if {
	some image in input.images
	image.scan != null
	some finding in image.scan.findings
	count(finding.fixed) > 0
	not within_leeway(finding)
}
