# SPDX-License-Identifier: GPL-2.0
# Makes one module of the examples in the crate's documentation, a function each.
BEGIN {
	print "// SPDX-License-Identifier: GPL-2.0"
	print "//! Generated from the examples in the documentation of lazyirq."
	print "#![allow(dead_code, unused_assignments, unused_must_use, unused_variables, clippy::all)]"
	print "use kernel::prelude::*;"
}
/^ *\/\/[\/!] ```text$/ { drawing = 1; next }
/^ *\/\/[\/!] ```$/ {
	if (drawing) {
		drawing = 0
		next
	}
	inside = !inside
	if (inside) {
		printf "\n// %s:%d\nfn example_%d() -> Result {\n", FILENAME, FNR, ++count
		last = ""
	} else {
		print (last ~ /^Ok::</) ? "}" : "Ok(())\n}"
	}
	next
}
inside {
	sub(/^ *\/\/[\/!] ?/, "")
	sub(/^# /, "")
	print
	if ($0 != "") last = $0
}
END {
	print "\nmodule! { type: Examples, name: \"lazyirq_examples\", description: \"The examples of the documentation of lazyirq\", license: \"GPL v2\", }"
	print "struct Examples;"
	print "impl kernel::Module for Examples {"
	print "fn init(_module: &'static ThisModule) -> Result<Self> {"
	for (i = 1; i <= count; i++) printf "example_%d()?;\n", i
	printf "pr_info!(\"%d examples\\n\");\n", count
	print "Ok(Examples)\n}\n}"
}
