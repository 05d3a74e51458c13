std = "lua54"
max_line_length = 100
exclude_files = {"build", "lua_modules", ".luarocks"}
include_files = {"**/*.lua", "*.rockspec", "rockspecs/*.rockspec", ".luacheckrc", ".busted"}

files["spec"] = {std = "lua54+busted"}
files["**/*.rockspec"] = {std = "+rockspec"}

-- Definitions: functions without bodies, classes without contents.
files["docs/types"] = {ignore = {"21", "231", "241"}}

-- It holds a lock until the end of its scope.
files["examples"] = {ignore = {"211/held"}}
