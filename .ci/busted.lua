-- busted under the interpreter that runs this file.  (Its own launcher takes
-- whatever Lua it was installed for.)
require "busted.runner" { standalone = false }
