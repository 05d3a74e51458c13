# What conc needs on Windows, from Debian's sources in $(DIR)/src: Lua as a DLL
# with an interpreter, LuaFileSystem, and APR as a static library; and, for 'more',
# LuaSocket and libsodium.

LUA_SRC := $(wildcard $(DIR)/src/lua5.4-*/src)
LFS_SRC := $(wildcard $(DIR)/src/lua-filesystem-*/src)
APR_SRC := $(wildcard $(DIR)/src/apr-*)
SOCKET_SRC := $(wildcard $(DIR)/src/luasocket-*/src)
SODIUM_SRC := $(wildcard $(DIR)/src/libsodium-*)
HOST := $(DIR)/host
APR := $(DIR)/apr
SODIUM := $(DIR)/sodium
FLAGS := -std=gnu99 -O2 -w

all: $(HOST)/lua.exe $(HOST)/lfs.dll $(APR)/libapr-1.a
more: $(HOST)/socket/core.dll $(HOST)/mime/core.dll $(HOST)/libsodium-23.dll

$(HOST)/lua54.dll: $(filter-out %/lua.c %/luac.c,$(wildcard $(LUA_SRC)/*.c))
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -DLUA_BUILD_AS_DLL -shared -static-libgcc -o $@ $^

$(HOST)/lua.exe: $(LUA_SRC)/lua.c $(HOST)/lua54.dll
	$(CC) $(FLAGS) -DLUA_BUILD_AS_DLL -static-libgcc -o $@ $^

$(HOST)/lfs.dll: $(LFS_SRC)/lfs.c $(HOST)/lua54.dll
	$(CC) $(FLAGS) -I$(LUA_SRC) -shared -static-libgcc -o $@ $^

SOCKET_NAMES := luasocket timeout buffer io auxiliar compat options inet except \
                select tcp udp wsocket

$(HOST)/socket/core.dll: $(SOCKET_NAMES:%=$(SOCKET_SRC)/%.c) $(HOST)/lua54.dll
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -I$(LUA_SRC) -DLUASOCKET_API='__declspec(dllexport)' -shared \
	  -static-libgcc -o $@ $^ -lws2_32

$(HOST)/mime/core.dll: $(SOCKET_SRC)/mime.c $(SOCKET_SRC)/compat.c $(HOST)/lua54.dll
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -I$(LUA_SRC) -DLUASOCKET_API='__declspec(dllexport)' -shared \
	  -static-libgcc -o $@ $^

# Portable C only, as Microsoft's compiler would have it.
SODIUM_OBJECTS := $(patsubst $(SODIUM_SRC)/%.c,$(SODIUM)/%.o, \
                    $(shell find $(SODIUM_SRC)/src -name '*.c'))
SODIUM_FLAGS := -O2 -w -DSODIUM_DLL_EXPORT -I$(SODIUM) \
  $(patsubst %,-I$(SODIUM_SRC)/src/libsodium/include%,/ /sodium)

$(HOST)/libsodium-23.dll: $(SODIUM_OBJECTS)
	$(CC) -shared -static-libgcc -o $@ $^ -ladvapi32

$(SODIUM)/%.o: $(SODIUM_SRC)/%.c $(SODIUM)/sodium/version.h
	@mkdir -p $(@D)
	$(CC) $(SODIUM_FLAGS) -I$(SODIUM)/sodium -c -o $@ $<

$(SODIUM)/sodium/version.h: $(SODIUM_SRC)/builds/msvc/version.h
	@mkdir -p $(@D)
	cp $< $@

# APR's own list of files and its header for Windows, with no CMake and no patch:
# apr.h here is read first and gives mingw-w64 Microsoft's habits.
APR_NAMES := $(shell sed -n '/^SET(APR_SOURCES/,/^)/s/^ *\(.*\.c\)$$/\1/p' \
               $(APR_SRC)/CMakeLists.txt)
APR_FLAGS := -DAPR_DECLARE_STATIC -DWINNT -include .ci/windows/apr.h -I$(APR) \
  $(patsubst %,-I$(APR_SRC)/include%,/ /arch/win32 /arch/unix /private)

$(APR)/libapr-1.a: $(APR_NAMES:%.c=$(APR)/%.o)
	rm -f $@
	$(AR) qcs $@ $^

$(APR)/%.o: $(APR_SRC)/%.c $(APR)/apr.h $(APR)/apr_escape_test_char.h
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(APR_FLAGS) -c -o $@ $<

$(APR)/apr.h: $(APR_SRC)/include/apr.hw
	@mkdir -p $(@D)
	sed 's/_WIN32_WINNT 0x0501/_WIN32_WINNT 0x0602/' $< > $@

# Characters are the same everywhere, so this program is the builder's.
$(APR)/apr_escape_test_char.h: $(APR_SRC)/tools/gen_test_char.c
	@mkdir -p $(@D)
	gcc -w -DCROSS_COMPILE -o $(APR)/gen_test_char $<
	$(APR)/gen_test_char > $@

.DELETE_ON_ERROR:
.PHONY: all more
