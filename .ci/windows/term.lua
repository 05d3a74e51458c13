-- What busted needs of lua-term: this is no terminal.
return {isatty = function() return false end}
