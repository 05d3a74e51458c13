# conc builds with GNU make and a C11 compiler.
#
#   make                 build/conc/core.so
#   make demo | test     install what is missing, build, run
#   make VARIANT=asan    the same tree with other flags, in build/asan
#   make V=1             with every command in full
#   eval "$(make -s env)"    use the built tree from any directory

VARIANT ?=
TOOL ?=
B := build$(VARIANT:%=/%)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
LINT_CC ?= gcc clang
MAKEFLAGS += --no-print-directory

# What the everyday targets build, they build on all processors.
ON_ALL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))

# --- the system ---

UNAME := $(shell uname -s)
SYS ?= $(if $(filter Windows_NT,$(OS)),windows,$(if \
         $(filter Linux,$(UNAME)),linux,posix))

# Programs and packages that call themselves Lua, the first that is 5.4.
ifndef LUA
LUA := $(shell for l in lua5.4 lua54 lua-5.4 lua; do \
         $$l -v 2>&1 | grep -q '^Lua 5\.4' && command -v $$l && break; done)
endif
LUA_PC := $(shell for p in lua5.4 lua54 lua-5.4 lua; do \
            pkg-config --exists "$$p >= 5.4 $$p < 5.5" 2>/dev/null && \
            echo $$p && break; done)
ifneq ($(LUA_PC),)
LUA_CFLAGS := $(shell pkg-config --cflags $(LUA_PC))
LUA_LIBS := $(shell pkg-config --libs $(LUA_PC))
else
LUA_CFLAGS := -I/usr/include/lua5.4
LUA_LIBS := -llua5.4
endif
APR_CFLAGS := $(shell apr-1-config --includes 2>/dev/null || \
                pkg-config --cflags-only-I apr-1 2>/dev/null)
APR_LIBS := $(shell apr-1-config --link-ld 2>/dev/null || echo -lapr-1)
# .ci/deps looks whether these work.
export LUA LUA_CFLAGS APR_CFLAGS

# --- flags ---

CFLAGS ?= -O2 -g
INCLUDES := -Ic $(subst -I,-isystem ,$(LUA_CFLAGS) $(APR_CFLAGS)) \
            $(if $(filter windows,$(SYS)),-DAPR_DECLARE_STATIC)

FLAGS_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_tsan := -fsanitize=thread
# Delays at atomic operations, alone or beside ThreadSanitizer.
FLAGS_perturb := -include spec/support/perturb.h
FLAGS_race := $(FLAGS_tsan) $(FLAGS_perturb)
FLAGS_fuzz := -fsanitize=fuzzer-no-link,address,undefined \
              -fno-sanitize-recover=undefined

WARNINGS_windows := -Wno-float-conversion # in its own isnan
# Under sanitizers gcc warns of what is not there.
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
            $(WARNINGS_$(SYS)) $(if $(FLAGS_$(VARIANT)),,$(if $(WERROR),-Werror))

# Half of what conc calls is Lua's: without a detour.
NO_PLT := $(if $(filter Linux,$(UNAME)),-fno-plt)

COMPILE := $(CC) -std=gnu11 -fPIC $(NO_PLT) -fvisibility=hidden $(CFLAGS) $(WARNINGS) \
           $(FLAGS_$(VARIANT)) $(INCLUDES)

LIBS := $(APR_LIBS) -lpthread $(if $(filter Linux,$(UNAME)),-lrt -ldl)
ifeq ($(SYS),linux) # c/sys/linux_apr.c loads APR; what else is said there counts
LIBS := -Wl,--as-needed $(LIBS)
endif
ifeq ($(SYS),windows)
SO := dll
EXE := .exe
LINK_SO := -shared -static-libgcc
# The last ones are APR's, which may be the static one.
LIBS := $(APR_LIBS) -lsynchronization -lws2_32 -lmswsock -lrpcrt4 -ladvapi32 \
        -lshell32 -liphlpapi
SO_LIBS := $(LUA_LIBS) $(LIBS)
LINK_EXE := -static-libgcc -Wl,-Bstatic -lpthread -Wl,-Bdynamic
# These send signals; specs in Lua do so to processes.
NOT_TESTED := $(shell grep -l SIGUSR1 spec/c/*.c)
# Commands that specs in Lua call.
COMMANDS := $(patsubst %,$B/bin/%.exe,kill sleep hear without times)
export PATH := $(CURDIR)/$B/bin:$(PATH)
else ifeq ($(UNAME),Darwin)
SO := so
LINK_SO := -bundle -undefined dynamic_lookup
SO_LIBS := $(LIBS)
else
SO := so
# nodelete: lua_close must not unmap code that a thread still runs.
LINK_SO := -shared -Wl,-z,nodelete
SO_LIBS := $(LIBS)
endif

# --- files ---

# c/sys has linux*.c, posix*.c and windows*.c; the rest is for every Unix.
NOT_HERE := $(filter-out c/sys/$(SYS)%,$(if $(filter windows,$(SYS)), \
              $(wildcard c/sys/*.c),$(wildcard c/sys/linux*.c \
              c/sys/posix*.c c/sys/windows*.c)))
SOURCES := $(filter-out $(NOT_HERE),$(wildcard c/*/*.c c/lua/*/*.c))
OBJECTS := $(SOURCES:%.c=$B/obj/%.o)
CORE := $B/conc/core.$(SO)
export CONC_LUA := $(CURDIR)/$B/bin/conc-lua$(TOOL:%=-%)
C_TESTS := $(patsubst %.c,$B/%$(EXE),$(filter-out $(NOT_TESTED), \
             $(wildcard spec/c/*.c)))
FUZZERS := $(patsubst %.c,$B/%$(EXE),$(wildcard spec/fuzz/*.c))
BENCHES := $(patsubst %.c,$B/%$(EXE),$(wildcard bench/*.c))
MODELS := $(wildcard spec/models/*.pml)
DIE := $B/spec/die.$(SO)
C_STYLE := $(wildcard c/*/*.[ch] c/lua/*/*.[ch] spec/c/*.[ch] spec/fuzz/*.[ch] bench/*.[ch])

# Say 'CC file' instead of the whole command, unless V=1; nothing with -s.
SILENT := $(findstring s,$(firstword -$(MAKEFLAGS)))
brief = $(if $(V),,@$(if $(SILENT),,echo '  $1';))

all: $(CORE) $(CONC_LUA)

$(CORE): $(OBJECTS)
	@mkdir -p $(@D)
	$(call brief,LINK $@)$(CC) $(LINK_SO) $(FLAGS_$(VARIANT)) -o $@.new $^ \
	  $(LDFLAGS) $(SO_LIBS)
	@mv $@.new $@ # who runs the old one keeps it

$B/obj/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(call brief,CC   $<)$(COMPILE) -MMD -MP -c -o $@ $<

# Programs that stand alone: C specs and the floors of the benchmarks.
$(C_TESTS): $B/%$(EXE): $B/obj/%.o $(OBJECTS)
	@mkdir -p $(@D)
	$(call brief,LINK $@)$(CC) $(FLAGS_$(VARIANT)) -o $@ $^ $(LDFLAGS) $(LUA_LIBS) $(LIBS) -lm \
	  $(LINK_EXE)

# A module for specs in Lua.
$(DIE): spec/support/die.c $B/flags
	@mkdir -p $(@D)
	$(call brief,LINK $@)$(COMPILE) $(LINK_SO) -o $@ $< $(SO_LIBS)

$(COMMANDS): spec/support/commands.c
	@mkdir -p $(@D)
	$(CC) -o $@ $< $(WARNINGS)

$(BENCHES): $B/%$(EXE): $B/obj/%.o
	@mkdir -p $(@D)
	$(call brief,LINK $@)$(CC) -o $@ $^ $(LDFLAGS) $(LUA_LIBS) $(LIBS) -lm

$(FUZZERS): $B/%$(EXE): $B/obj/%.o $(OBJECTS)
	@mkdir -p $(@D)
	$(call brief,LINK $@)$(CC) -fsanitize=fuzzer $(FLAGS_fuzz) -o $@ $^ $(LUA_LIBS) $(LIBS) -lm

# Another compiler, other flags, another place: everything is built again.
$B/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(SYS) $(LUA) $(CURDIR)' > $@.now
	@cmp -s $@.now $@ || cp $@.now $@

.SECONDARY: # keep the objects of programs
-include $(shell find $B/obj -name '*.d' 2>/dev/null)

# --- running ---

# As Windows's own programs write it, where this is MSYS2.
HERE := $(or $(if $(MSYSTEM),$(shell cygpath -m '$(CURDIR)')),$(CURDIR))
OUR_PATH := $(HERE)/lua/?.lua;$(HERE)/lua/?/init.lua
OUR_CPATH := $(HERE)/$B/?.$(SO)
lib = $(shell gcc -print-file-name=lib$1.so)
supp = $(if $(wildcard spec/support/$1.supp),$2$(CURDIR)/spec/support/$1.supp)

export ASAN_OPTIONS := detect_leaks=1:allocator_may_return_null=1
# gcc 12's LeakSanitizer crashes at the end when a thread that is alive has
# thread-local memory of a loaded module; so it is not looked at.
export LSAN_OPTIONS := use_tls=0:print_suppressions=0$(call supp,lsan,:suppressions=)
export UBSAN_OPTIONS := print_stacktrace=1
# A process that ends waits that long (a second else) for the threads left.
export TSAN_OPTIONS := atexit_sleep_ms=50:second_deadlock_stack=1:allocator_may_return_null=1$(call supp,tsan,:suppressions=)

# How a program of our own is run, and how the interpreter is, which was not
# built with the variant's flags.  TOOL=valgrind needs no build of its own.
EXEC_tsan := setarch -R
EXEC_race := $(EXEC_tsan)
EXEC_valgrind := valgrind -q --error-exitcode=99 --fair-sched=yes \
  --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  $(call supp,valgrind,--suppressions=)
EXEC := $(EXEC_$(VARIANT)$(TOOL))
# Valgrind 3.19 does not know pidfd_open, by which children are watched; and its
# leak check looks at every page that is mapped.
ifeq ($(TOOL),valgrind)
export CONC_ALONE := 1
export CONC_SHARED_MIB := 64
C_TESTS := $(filter-out %/heap %/ring %/shared_locks,$(C_TESTS))
BUSTED ?= $(filter-out $(foreach s,connection docs pipe process shared_memory, \
            $(wildcard spec/$s*_spec.lua)),$(wildcard spec/*_spec.lua))
endif
PRELOAD_asan = $(call lib,asan) $(call lib,ubsan)
PRELOAD_tsan = $(call lib,tsan)
PRELOAD_race = $(PRELOAD_tsan)
PRELOAD := $(PRELOAD_$(VARIANT))

# The interpreter as this variant needs it, with the built tree on its paths.
# Specs that start an interpreter find this one in CONC_LUA.
$(CONC_LUA): Makefile $B/flags $(if $(PRELOAD),$B/alone.so)
	@mkdir -p $(@D)
	@{ echo '#!/bin/sh'; \
	   echo 'p=$${LUA_PATH_5_4:-$${LUA_PATH:-;}}'; \
	   echo 'c=$${LUA_CPATH_5_4:-$${LUA_CPATH:-;}}'; \
	   echo 'export LUA_PATH_5_4="$(OUR_PATH);$$p"'; \
	   echo 'export LUA_CPATH_5_4="$(OUR_CPATH);$$c"'; \
	   $(if $(MSYSTEM),echo 'export CONC_LUA="$(shell cygpath -m \
	     "$$(command -v $(LUA))")"';) \
	   echo 'exec $(EXEC) $(if $(PRELOAD),env LD_PRELOAD="$(strip \
	     $(PRELOAD)) $(CURDIR)/$B/alone.so") $(LUA) "$$@"'; } > $@
	@chmod +x $@

# What is preloaded is for the interpreter, not for what it starts: shells
# crash under libtsan.
$B/alone.so: Makefile
	@mkdir -p $(@D)
	@echo 'int unsetenv(const char *);' \
	  '__attribute__((constructor)) static void alone(void)' \
	  '{ unsetenv("LD_PRELOAD"); }' | $(CC) -shared -fPIC -o $@ -x c -

# What is built on the way is told elsewhere: the shell is to run the rest.
env:
	@$(MAKE) all >&2
	@echo 'export LUA_PATH="$(OUR_PATH);$${LUA_PATH:-;}"'
	@echo 'export LUA_CPATH="$(OUR_CPATH);$${LUA_CPATH:-;}"'
	@echo 'export PATH="$(CURDIR)/$B/bin:$$PATH"'

demo:
	@.ci/deps demo
	@$(MAKE) $(ON_ALL) all
	@for x in primes process_pool account pages; do \
	  echo "== examples/$$x.lua"; $(CONC_LUA) examples/$$x.lua || exit; done

EXAMPLES ?= $(wildcard examples/*.lua)
examples: all
	@for x in $(EXAMPLES); do \
	  echo "== $$x"; $(LIMIT) $(CONC_LUA) $$x || { state=$$?; \
	  echo "failed: $$x: exit code $$state"; exit $$state; }; done

# --- tests ---

# What 'test' and its variants do once everything is there.
suite: c_specs
	@$(CONC_LUA) .ci/busted.lua $(BUSTED)

# The same, each file in a process of its own.
specs: c_specs
	@CONC_AGAIN='$(AGAIN)' CONC_TRIES='$(TRIES)' .ci/specs \
	  $(or $(BUSTED),$(wildcard spec/*_spec.lua))

# Not everywhere; C specs have a watchdog of their own as well.
LIMIT := $(shell command -v timeout >/dev/null && echo timeout -k 10 300)

c_specs: all $(C_TESTS) $(COMMANDS) $(DIE)
	@for t in $(C_TESTS); do echo "== $$t"; \
	  $(LIMIT) $(if $(AGAIN),.ci/again '$(AGAIN)') $(EXEC) $$t >$B/spec.log 2>&1 || \
	  { echo "failed:"; tail -n 99 $B/spec.log; exit 1; }; done

test:
	@.ci/deps test
	@$(MAKE) $(ON_ALL) suite

stress:
	@.ci/deps test
	@$(MAKE) suite BUSTED='--tags=stress $(BUSTED)'

# The same specs with the collector at full pressure.
gc:
	@.ci/deps test
	@$(MAKE) specs CONC_GC=1 CONC_SCALE=$(or $(CONC_SCALE),0.02)

# The same specs on what other Unixes have, where this is Linux.
posix:
	@.ci/deps test
	@$(MAKE) specs SYS=posix VARIANT=posix CONC_SCALE=$(or $(CONC_SCALE),0.1)

# CONC_SCALE shrinks the loops of the stress specs.
asan:
	@.ci/deps test sanitize
	@$(MAKE) specs VARIANT=asan CONC_SCALE=$(or $(CONC_SCALE),0.1)

# ThreadSanitizer's own map of memory has a race (MapShadow, when many threads
# start and end), of which it dies now and then.
tsan:
	@.ci/deps test sanitize
	@$(MAKE) specs VARIANT=tsan CONC_SCALE=$(or $(CONC_SCALE),0.1) \
	  AGAIN='ThreadSanitizer failed to allocate'

# With delays before operations on atomics: orders of steps that are rare.
perturb:
	@.ci/deps test
	@$(MAKE) specs VARIANT=perturb CONC_SCALE=$(or $(CONC_SCALE),0.1)

# Cross-compiled, under Wine; in build/windows.
windows:
	@.ci/deps test
	+@.ci/windows/suite

valgrind:
	@.ci/deps test valgrind
	@$(MAKE) suite TOOL=valgrind CONC_SCALE=$(or $(CONC_SCALE),0.02)

# Each target starts from spec/fuzz/NAME/ and keeps what it finds in build.
fuzz:
	@.ci/deps fuzz
	@$(MAKE) fuzzers VARIANT=fuzz CC=clang

fuzzers: $(FUZZERS)
	@for f in $(notdir $(FUZZERS)); do \
	  .ci/fuzz $(FUZZ_SECONDS) $B $$f || exit; done

model:
	@.ci/deps model
	@printf '%s\n' $(MODELS) | xargs -P 2 -I{} .ci/model {} build/model

# --- form ---

lint: layers
	@.ci/deps lint
	luacheck --quiet .
	$(if $(C_STYLE),clang-format --dry-run -Werror $(C_STYLE))
	$(LUA) .ci/rockspec.lua --check
	for r in *.rockspec $(wildcard rockspecs/*.rockspec); do \
	  luarocks lint $$r || exit; done
	for c in $(LINT_CC); do \
	  $(MAKE) all VARIANT=$$c CC=$$c WERROR=1 || exit; \
	done

layers:
	@.ci/deps lua
	@$(LUA) .ci/layers.lua

# --- the rest ---

bench: all $(BENCHES)
	@env -u CONC_LUA $(CONC_LUA) bench/run.lua $(BENCH) # children need no shell

docs:
	@.ci/deps docs
	ldoc --quiet .

LUA_DIR := $(DESTDIR)$(PREFIX)/share/lua/5.4
LIB_DIR := $(DESTDIR)$(PREFIX)/lib/lua/5.4
INC_DIR := $(DESTDIR)$(PREFIX)/include

install: all
	install -d $(LIB_DIR)/conc $(INC_DIR)
	install -m 644 c/include/conc.h $(INC_DIR)
	install -m 755 $(CORE) $(LIB_DIR)/conc
	cd lua && find . -name '*.lua' | while read -r f; do \
	  install -d "$(LUA_DIR)/$${f%/*}" && \
	  install -m 644 "$$f" "$(LUA_DIR)/$$f" || exit; done

# As a user would have it: the rock, and the installed files.
rock:
	@.ci/deps build luarocks
	@.ci/rock

# Everything any target may want.
deps:
	@.ci/deps demo test sanitize valgrind fuzz model lint docs

clean:
	rm -rf build

FORCE:
.PHONY: FORCE all env demo examples suite specs c_specs test stress gc asan tsan perturb valgrind \
        posix windows fuzz fuzzers model lint layers bench docs install rock \
        deps clean
