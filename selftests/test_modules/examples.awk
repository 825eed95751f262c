# SPDX-License-Identifier: GPL-2.0
# Makes one module of the examples in the crate's documentation and in the Markdown files, a function each. What
# one in a Markdown file leaves out is in a comment before it, <!-- given ... -->.
BEGIN {
	print "// SPDX-License-Identifier: GPL-2.0"
	print "//! Generated from the examples in the documentation of lazyirq."
	print "#![allow(dead_code, unused_assignments, unused_must_use, unused_variables, clippy::all)]"
	print "use kernel::prelude::*;"
}
function begin() {
	printf "\n// %s:%d\nfn example_%d() -> Result {\n", FILENAME, FNR, ++count
	last = ""
}
function end() { print (last ~ /^Ok::</) ? "}" : "Ok(())\n}" }
FILENAME ~ /\.md$/ {
	if (/^<!-- given$/) { given = inside = 1; begin(); next }
	if (given && /^-->$/) { inside = 0; next }
	if (/^```rust$/) {
		if (!given) begin()
		given = 0
		inside = 1
		next
	}
	if (inside && /^```$/) { inside = 0; end(); next }
	if (inside) print
	next
}
/^ *\/\/[\/!] ```text$/ { drawing = 1; next }
/^ *\/\/[\/!] ```$/ {
	if (drawing) {
		drawing = 0
		next
	}
	inside = !inside
	if (inside) begin()
	else end()
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
