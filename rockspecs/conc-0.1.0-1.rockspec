-- Where conc will be published is not decided: no name under .example exists
-- (RFC 2606).  Until then the rock is made in a checkout, by luarocks make.
local site = "conc.example"

rockspec_format = "3.0"
package = "conc"
version = "0.1.0-1"

description = {
  summary = "True parallel threads, queues and futures for Lua",
  detailed = [[
    What Python programmers have in threading, queue, multiprocessing and
    concurrent.futures, for Lua 5.4, with one Lua state per thread and no
    global lock.
  ]],
  homepage = "https://" .. site,
  license = "MIT",
  labels = {"threads", "concurrency", "parallel", "queue", "futures"},
}

source = {url = "git+https://" .. site .. "/conc.git", tag = "v0.1.0"}

supported_platforms = {"unix", "windows"}
dependencies = {"lua >= 5.4, < 5.5"}
external_dependencies = {APR = {library = "apr-1"}}

-- from here to the next rule: written by .ci/rockspec.lua
local common = {
  "c/base/arena.c",
  "c/base/init.c",
  "c/base/mem.c",
  "c/base/msg.c",
  "c/base/object.c",
  "c/core/alarm.c",
  "c/core/barrier.c",
  "c/core/blob.c",
  "c/core/carrier.c",
  "c/core/cases.c",
  "c/core/cells.c",
  "c/core/condition.c",
  "c/core/deadlock.c",
  "c/core/dict.c",
  "c/core/event.c",
  "c/core/executor.c",
  "c/core/future.c",
  "c/core/group.c",
  "c/core/inbox.c",
  "c/core/latch.c",
  "c/core/line.c",
  "c/core/loan.c",
  "c/core/lock.c",
  "c/core/pile.c",
  "c/core/pool_stats.c",
  "c/core/pool_workers.c",
  "c/core/priority.c",
  "c/core/promise.c",
  "c/core/queue.c",
  "c/core/rlock.c",
  "c/core/root.c",
  "c/core/select.c",
  "c/core/semaphore.c",
  "c/core/table.c",
  "c/core/tasks.c",
  "c/core/thread.c",
  "c/core/watch.c",
  "c/ipc/alloc.c",
  "c/ipc/bell.c",
  "c/ipc/brood.c",
  "c/ipc/cargo.c",
  "c/ipc/cases.c",
  "c/ipc/child.c",
  "c/ipc/chunk.c",
  "c/ipc/classes.c",
  "c/ipc/conn.c",
  "c/ipc/crypto.c",
  "c/ipc/forks.c",
  "c/ipc/heap.c",
  "c/ipc/io.c",
  "c/ipc/lane.c",
  "c/ipc/ledger.c",
  "c/ipc/parcel.c",
  "c/ipc/process.c",
  "c/ipc/ring.c",
  "c/ipc/ring_cases.c",
  "c/ipc/ring_get.c",
  "c/ipc/ring_put.c",
  "c/ipc/robust.c",
  "c/ipc/sbarrier.c",
  "c/ipc/scells.c",
  "c/ipc/scondition.c",
  "c/ipc/sevent.c",
  "c/ipc/sgate.c",
  "c/ipc/shared.c",
  "c/ipc/sline.c",
  "c/ipc/slock.c",
  "c/ipc/smemory.c",
  "c/ipc/sname.c",
  "c/ipc/spipe.c",
  "c/ipc/squeue.c",
  "c/ipc/srlock.c",
  "c/ipc/ssemaphore.c",
  "c/ipc/step.c",
  "c/ipc/sweeper.c",
  "c/ipc/sync_cases.c",
  "c/ipc/tail.c",
  "c/ipc/txn.c",
  "c/ipc/wire.c",
  "c/ipc/word.c",
  "c/lua/await.c",
  "c/lua/bindings/larray.c",
  "c/lua/bindings/larray_text.c",
  "c/lua/bindings/lbarrier.c",
  "c/lua/bindings/lcancel.c",
  "c/lua/bindings/lcell.c",
  "c/lua/bindings/lchild.c",
  "c/lua/bindings/lcondition.c",
  "c/lua/bindings/lconn.c",
  "c/lua/bindings/lcrypto.c",
  "c/lua/bindings/ldict.c",
  "c/lua/bindings/ldict_entry.c",
  "c/lua/bindings/ldump.c",
  "c/lua/bindings/lend.c",
  "c/lua/bindings/levent.c",
  "c/lua/bindings/lexecutor.c",
  "c/lua/bindings/lexecutor_stats.c",
  "c/lua/bindings/lexecutor_worker.c",
  "c/lua/bindings/lfuture.c",
  "c/lua/bindings/lfuture_chain.c",
  "c/lua/bindings/lgroup.c",
  "c/lua/bindings/llistener.c",
  "c/lua/bindings/llocal.c",
  "c/lua/bindings/llock.c",
  "c/lua/bindings/lmap.c",
  "c/lua/bindings/lmap_chunks.c",
  "c/lua/bindings/lmap_results.c",
  "c/lua/bindings/lmap_worker.c",
  "c/lua/bindings/lpipe.c",
  "c/lua/bindings/lprocess.c",
  "c/lua/bindings/lprocess_executor.c",
  "c/lua/bindings/lprocesses.c",
  "c/lua/bindings/lpromise.c",
  "c/lua/bindings/lqueue.c",
  "c/lua/bindings/lrlock.c",
  "c/lua/bindings/lselect.c",
  "c/lua/bindings/lsemaphore.c",
  "c/lua/bindings/lserve.c",
  "c/lua/bindings/lsmemory.c",
  "c/lua/bindings/lsqueue.c",
  "c/lua/bindings/lthread.c",
  "c/lua/bindings/lthread_end.c",
  "c/lua/bindings/lthreads.c",
  "c/lua/bindings/lvalue.c",
  "c/lua/bindings/lwait.c",
  "c/lua/bindings/lwatch.c",
  "c/lua/build.c",
  "c/lua/callback.c",
  "c/lua/cargo.c",
  "c/lua/code.c",
  "c/lua/coroutines.c",
  "c/lua/errors.c",
  "c/lua/failure.c",
  "c/lua/flat.c",
  "c/lua/host.c",
  "c/lua/interrupt.c",
  "c/lua/keeper.c",
  "c/lua/keeper_process.c",
  "c/lua/keeper_slots.c",
  "c/lua/lc_args.c",
  "c/lua/lc_blame.c",
  "c/lua/lc_box.c",
  "c/lua/lc_wait.c",
  "c/lua/methods.c",
  "c/lua/module.c",
  "c/lua/names.c",
  "c/lua/pack.c",
  "c/lua/piece.c",
  "c/lua/post.c",
  "c/lua/priority.c",
  "c/lua/reader.c",
  "c/lua/selectable.c",
  "c/lua/state.c",
  "c/lua/task.c",
  "c/lua/trace.c",
  "c/lua/types.c",
  "c/lua/unpack.c",
  "c/lua/update.c",
  "c/lua/walk.c",
  "c/lua/walk_class.c",
  "c/lua/walk_function.c",
  "c/lua/walk_object.c",
  "c/lua/walk_path.c",
  "c/lua/walk_table.c",
  "c/lua/wire.c",
  "c/lua/worker.c",
  "c/lua/worker_env.c",
  "c/lua/writer.c",
  "c/wait/gate.c",
  "c/wait/gather.c",
  "c/wait/lot.c",
  "c/wait/mutex.c",
  "c/wait/parker.c",
  "c/wait/spin.c",
}
local unix = {
  "c/sys/unix.c",
  "c/sys/unix_channel.c",
  "c/sys/unix_forks.c",
  "c/sys/unix_named.c",
  "c/sys/unix_reap.c",
  "c/sys/unix_shm.c",
  "c/sys/unix_spawn.c",
  "c/sys/unix_stream.c",
}
local linux = {
  "c/sys/linux.c",
  "c/sys/linux_apr.c",
  "c/sys/linux_watch.c",
}
local posix = {
  "c/sys/posix.c",
  "c/sys/posix_apr.c",
  "c/sys/posix_watch.c",
}
local windows = {
  "c/sys/windows.c",
  "c/sys/windows_apr.c",
  "c/sys/windows_channel.c",
  "c/sys/windows_command.c",
  "c/sys/windows_named.c",
  "c/sys/windows_pipe.c",
  "c/sys/windows_shm.c",
  "c/sys/windows_spawn.c",
  "c/sys/windows_stream.c",
  "c/sys/windows_wait.c",
  "c/sys/windows_watch.c",
}
local modules = {
  ["conc.arguments"] = "lua/conc/arguments.lua",
  ["conc.authkey"] = "lua/conc/authkey.lua",
  ["conc.child"] = "lua/conc/child.lua",
  ["conc.connection"] = "lua/conc/connection.lua",
  ["conc.futures"] = "lua/conc/futures.lua",
  ["conc.group"] = "lua/conc/group.lua",
  ["conc.handshake"] = "lua/conc/handshake.lua",
  ["conc"] = "lua/conc/init.lua",
  ["conc.interpreter"] = "lua/conc/interpreter.lua",
  ["conc.launch"] = "lua/conc/launch.lua",
  ["conc.manager"] = "lua/conc/manager.lua",
  ["conc.manager_client"] = "lua/conc/manager_client.lua",
  ["conc.manager_host"] = "lua/conc/manager_host.lua",
  ["conc.manager_list"] = "lua/conc/manager_list.lua",
  ["conc.manager_registry"] = "lua/conc/manager_registry.lua",
  ["conc.manager_server"] = "lua/conc/manager_server.lua",
  ["conc.manager_session"] = "lua/conc/manager_session.lua",
  ["conc.manager_types"] = "lua/conc/manager_types.lua",
  ["conc.multiprocessing"] = "lua/conc/multiprocessing.lua",
  ["conc.pool"] = "lua/conc/pool.lua",
  ["conc.process_worker"] = "lua/conc/process_worker.lua",
  ["conc.progress"] = "lua/conc/progress.lua",
  ["conc.proxy"] = "lua/conc/proxy.lua",
  ["conc.queue"] = "lua/conc/queue.lua",
  ["conc.shareable_list"] = "lua/conc/shareable_list.lua",
  ["conc.shared_memory_manager"] = "lua/conc/shared_memory_manager.lua",
  ["conc.threading"] = "lua/conc/threading.lua",
  ["conc.timer"] = "lua/conc/timer.lua",
}
-- ----

local function core(system, libraries, defines)
  local sources = {}
  local function add(list)
    for i = 1, #list do sources[#sources + 1] = list[i] end
  end
  add(common)
  add(system)
  return {
    sources = sources,
    libraries = libraries,
    defines = defines,
    incdirs = {
      "c", "$(APR_INCDIR)/apr-1.0", "$(APR_INCDIR)/apr-1", "$(APR_INCDIR)",
    },
    libdirs = {"$(APR_LIBDIR)"},
  }
end

-- Platforms are merged item by item, unix before linux: a list of sources
-- overrides another one only if it is as long: linux and posix have as many.
local function on(system, libraries, defines)
  return {modules = {["conc.core"] = core(system, libraries, defines)}}
end

for i = 1, #unix do
  posix[#posix + 1] = unix[i]
  linux[#linux + 1] = unix[i]
end

build = {
  type = "builtin",
  modules = modules,
  platforms = {
    unix = on(posix, {"apr-1", "pthread"}),
    -- c/sys/linux_apr.c loads APR; before glibc 2.34 rt and dl were apart.
    linux = on(linux, {"pthread", "rt", "dl"}),
    -- APR's static library, and what that needs.  Microsoft's compiler wants
    -- flags that a rockspec cannot give: see docs/platforms.md.
    windows = on(windows, {
      "apr-1", "synchronization", "ws2_32", "mswsock", "rpcrt4", "advapi32",
      "shell32", "iphlpapi",
    }, {"APR_DECLARE_STATIC"}),
  },
}

test = {type = "command", command = "make test"}
