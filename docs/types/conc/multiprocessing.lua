---@meta conc.multiprocessing

---Processes, and what they synchronize with. Locks and their kin have the methods
---of those of conc.threading.
---@class conc.multiprocessing
local multiprocessing = {}

---@class conc.Process
local Process = {}

---@class conc.Process.Options
---@field target? function called in the process
---@field args? table its arguments; the field n may say how many
---@field name? string
---@field daemon? boolean terminated at the end of the program
---@field keep_stderr? boolean keep the end of what it writes there

---@param target? function|conc.Process.Options
---@param args? table
---@param name? string
---@param daemon? boolean
---@param keep_stderr? boolean
---@return conc.Process
---@nodiscard
function multiprocessing.Process(target, args, name, daemon, keep_stderr) end

---@return conc.Process self
function Process:start() end

---@param timeout? number seconds; nil: for ever
---@return true? done
---@return "timeout"? why
function Process:join(timeout) end

---@return boolean
---@nodiscard
function Process:is_alive() end

---@return integer? code nil while it runs; -n after signal n
---@nodiscard
function Process:exitcode() end

---@return string? name of the signal that ended it
---@nodiscard
function Process:signal() end

function Process:interrupt() end

function Process:terminate() end

function Process:kill() end

---@return string? text the end of what it wrote to standard error
---@nodiscard
function Process:stderr() end

---@return conc.Event
---@nodiscard
function Process:sentinel() end

---@return integer? pid nil before the start
---@nodiscard
function Process:pid() end

---@return integer? pid nil before the start
---@nodiscard
function Process:ident() end

---@return string
---@nodiscard
function Process:name() end

---@param name string
function Process:set_name(name) end

---@return boolean
---@nodiscard
function Process:daemon() end

---@param flag boolean
function Process:set_daemon(flag) end

---@return string
---@nodiscard
function Process:authkey() end

---@param key string
function Process:set_authkey(key) end

function Process:close() end

---@return conc.Process
---@nodiscard
function multiprocessing.current_process() end

---@return conc.Process?
---@nodiscard
function multiprocessing.parent_process() end

---@return conc.Process[]
---@nodiscard
function multiprocessing.active_children() end

---@return integer
---@nodiscard
function multiprocessing.cpu_count() end

---@alias conc.StartMethod "spawn"|"forkserver"

---@return conc.StartMethod[]
---@nodiscard
function multiprocessing.get_all_start_methods() end

---@param allow_none? boolean
---@return conc.StartMethod?
---@nodiscard
function multiprocessing.get_start_method(allow_none) end

---@param method conc.StartMethod
---@param force? boolean choose again
function multiprocessing.set_start_method(method, force) end

---@param method? conc.StartMethod
---@return conc.multiprocessing
---@nodiscard
function multiprocessing.get_context(method) end

---A Value without a lock.
---@param type conc.typecode
---@param value? conc.element
---@return conc.Value
---@nodiscard
function multiprocessing.RawValue(type, value) end

---An Array without a lock.
---@param type conc.typecode
---@param values integer|conc.element[]|string
---@return conc.Array
---@nodiscard
function multiprocessing.RawArray(type, values) end

---Does nothing.
function multiprocessing.freeze_support() end

---@param path string of an interpreter, or its name on PATH
function multiprocessing.set_executable(path) end

---@param names string[] of modules
function multiprocessing.set_forkserver_preload(names) end

---@return conc.Lock
---@nodiscard
function multiprocessing.Lock() end

---@return conc.RLock
---@nodiscard
function multiprocessing.RLock() end

---@param lock? conc.Lock|conc.RLock of conc.multiprocessing
---@return conc.Condition
---@nodiscard
function multiprocessing.Condition(lock) end

---@param value? integer
---@return conc.Semaphore
---@nodiscard
function multiprocessing.Semaphore(value) end

---@param value? integer
---@return conc.BoundedSemaphore
---@nodiscard
function multiprocessing.BoundedSemaphore(value) end

---@return conc.Event
---@nodiscard
function multiprocessing.Event() end

---@param parties integer
---@param action? function
---@param timeout? number
---@return conc.Barrier
---@nodiscard
function multiprocessing.Barrier(parties, action, timeout) end

---@param type conc.typecode
---@param value? conc.element
---@param lock? boolean|conc.Lock|conc.RLock|table of conc.multiprocessing
---@return conc.Value
---@nodiscard
function multiprocessing.Value(type, value, lock) end

---@param type conc.typecode
---@param values integer|table|conc.Array|string
---@param lock? boolean|conc.Lock|conc.RLock|table of conc.multiprocessing
---@return conc.Array
---@nodiscard
function multiprocessing.Array(type, values, lock) end

---@class conc.Listener
local Listener = {}

---@class conc.Listener.Options
---@field address? string a path, or "host:port"
---@field family? "AF_UNIX"|"AF_INET"
---@field backlog? integer
---@field authkey? string
---@field trusted? boolean receive functions and the like
---@field max_message? integer bytes

---@param options? string|conc.Listener.Options
---@return conc.Listener
---@nodiscard
function multiprocessing.Listener(options) end

---@param timeout? number seconds; nil: for ever
---@return conc.Connection?
---@return "timeout"|"closed"? why
function Listener:accept(timeout) end

---@return string
---@nodiscard
function Listener:address() end

---@return string? address "host:port"; nil over a Unix socket
---@nodiscard
function Listener:last_accepted() end

function Listener:close() end

---@return integer
---@nodiscard
function Listener:fileno() end

---@class conc.Client.Options
---@field address string a path, or "host:port"
---@field family? "AF_UNIX"|"AF_INET"
---@field authkey? string
---@field timeout? number seconds, for the handshake too; nil: for ever
---@field trusted? boolean receive functions and the like
---@field max_message? integer bytes

---@param options string|conc.Client.Options
---@return conc.Connection
---@nodiscard
function multiprocessing.Client(options) end

---The listener's half of the handshake.
---@param connection conc.Connection
---@param key string
function multiprocessing.deliver_challenge(connection, key) end

---The client's half.
---@param connection conc.Connection
---@param key string
function multiprocessing.answer_challenge(connection, key) end

---@class conc.Connection
local Connection = {}

---@param value any
---@return true? sent
---@return "closed"? why
function Connection:send(value) end

---@param s string
---@param i? integer first byte
---@param j? integer last byte
---@return true? sent
---@return "closed"? why
function Connection:send_bytes(s, i, j) end

---@param timeout? number seconds; nil: for ever
---@return any value
---@return "timeout"|"closed"? why
function Connection:recv(timeout) end

---@param maxlength? integer
---@param timeout? number seconds; nil: for ever
---@return string? bytes
---@return "timeout"|"closed"? why
function Connection:recv_bytes(maxlength, timeout) end

---@param array conc.Array|conc.SharedMemory
---@param offset? integer bytes
---@param timeout? number seconds; nil: for ever
---@return integer? bytes
---@return "timeout"|"closed"? why
function Connection:recv_bytes_into(array, offset, timeout) end

---@param timeout? number seconds; nil: do not wait
---@return boolean
---@return "timeout"? why
function Connection:poll(timeout) end

function Connection:close() end

---@return boolean
---@nodiscard
function Connection:closed() end

---@return boolean
---@nodiscard
function Connection:readable() end

---@return boolean
---@nodiscard
function Connection:writable() end

---@return integer
---@nodiscard
function Connection:fileno() end

---A queue between processes, with the methods of that of conc.queue.
---@class conc.ProcessQueue: conc.Queue
local ProcessQueue = {}

---@param maxsize? integer|conc.Queue.Options
---@return conc.ProcessQueue
---@nodiscard
function multiprocessing.Queue(maxsize) end

---@param maxsize? integer|conc.Queue.Options
---@return conc.ProcessQueue
---@nodiscard
function multiprocessing.JoinableQueue(maxsize) end

---This state does not need it any more.
function ProcessQueue:close() end

---Does nothing: there is no thread that would put for you.
function ProcessQueue:join_thread() end

---Does nothing: there is no thread that would put for you.
function ProcessQueue:cancel_join_thread() end

---@class conc.ProcessSimpleQueue: conc.SimpleQueue
local ProcessSimpleQueue = {}

---@return conc.ProcessSimpleQueue
---@nodiscard
function multiprocessing.SimpleQueue() end

---This state does not need it any more.
function ProcessSimpleQueue:close() end

---@class conc.Pipe.Options
---@field duplex? boolean true unless it is said

---@param duplex? boolean|conc.Pipe.Options
---@return conc.Connection receives
---@return conc.Connection sends
---@nodiscard
function multiprocessing.Pipe(duplex) end

---What of the list is ready; {} at the timeout.
---@param list any[]
---@param timeout? number seconds; nil: for ever
---@return any[]
function multiprocessing.wait(list, timeout) end

---@class conc.SharedMemory.Options
---@field name? string
---@field create? boolean
---@field size? integer bytes, if it is created
---@field track? boolean false: nobody owns the name

---@class conc.SharedMemory
---@operator len: integer
local SharedMemory = {}

---@param name? string|conc.SharedMemory.Options
---@param create? boolean
---@param size? integer
---@param track? boolean
---@return conc.SharedMemory
---@nodiscard
function multiprocessing.SharedMemory(name, create, size, track) end

---@return string
---@nodiscard
function SharedMemory:name() end

---@return integer bytes
---@nodiscard
function SharedMemory:size() end

---@param offset? integer from 0
---@param n? integer
---@return string
---@nodiscard
function SharedMemory:read(offset, n) end

---@param offset integer from 0
---@param bytes string
function SharedMemory:write(offset, bytes) end

---@param type conc.typecode
---@param offset? integer bytes, from 0
---@param n? integer elements
---@return conc.Array
---@nodiscard
function SharedMemory:array(type, offset, n) end

function SharedMemory:close() end

function SharedMemory:unlink() end

---@class conc.ShareableList
---@field [integer] integer|number|boolean|string|nil
---@operator len: integer
local ShareableList = {}

---@param sequence table|conc.ShareableList|{name?: string, sequence?: table}
---@return conc.ShareableList
---@nodiscard
function multiprocessing.ShareableList(sequence) end

---@return conc.SharedMemory
---@nodiscard
function ShareableList:shm() end

---@param value any
---@return integer?
---@nodiscard
function ShareableList:index(value) end

---@param value any
---@return integer
---@nodiscard
function ShareableList:count(value) end

---@return string
---@nodiscard
function ShareableList:format() end

---@class conc.SharedMemoryManager
local SharedMemoryManager = {}

---@return conc.SharedMemoryManager
---@nodiscard
function multiprocessing.SharedMemoryManager() end

---@return conc.SharedMemoryManager self
function SharedMemoryManager:start() end

---@param size integer
---@return conc.SharedMemory
function SharedMemoryManager:SharedMemory(size) end

---@param sequence table
---@return conc.ShareableList
function SharedMemoryManager:ShareableList(sequence) end

function SharedMemoryManager:shutdown() end

---@class conc.AsyncResult
local AsyncResult = {}

---The results; raises the call's error, or a TimeoutError.
---@param timeout? number seconds; nil: for ever
---@return any ...
function AsyncResult:get(timeout) end

---@param timeout? number seconds; nil: for ever
---@return boolean? done
---@return "timeout"? why
function AsyncResult:wait(timeout) end

---@return boolean
---@nodiscard
function AsyncResult:ready() end

---Did it end without an error?  Raises when it is not ready.
---@return boolean
---@nodiscard
function AsyncResult:successful() end

---@class conc.Pool
local Pool = {}

---@class conc.Pool.Options
---@field processes? integer workers at most (conc.cpu_count())
---@field initializer? function called first by each worker
---@field initargs? table its arguments
---@field maxtasksperchild? integer then a new worker takes its place

---@class conc.Pool.Call
---@field chunksize? integer items that travel together (of maps)
---@field callback? function called with the results
---@field error_callback? fun(err: any)

---@param processes? integer|conc.Pool.Options
---@param initializer? function
---@param initargs? table
---@param maxtasksperchild? integer
---@return conc.Pool
---@nodiscard
function multiprocessing.Pool(processes, initializer, initargs, maxtasksperchild) end

---The same with threads.
---@param processes? integer|conc.Pool.Options
---@param initializer? function
---@param initargs? table
---@param maxtasksperchild? integer
---@return conc.Pool
---@nodiscard
function multiprocessing.ThreadPool(processes, initializer, initargs, maxtasksperchild) end

---Call fn in a worker and wait for what it returns.
---@param fn function
---@param args? table
---@return any ...
function Pool:apply(fn, args) end

---@param fn function
---@param args? table
---@param options? conc.Pool.Call
---@return conc.AsyncResult
function Pool:apply_async(fn, args, options) end

---The first results of fn(x) in the order of xs; all are done before an error is raised.
---@param fn function
---@param xs any[]|fun(): any
---@param chunksize? integer
---@return table results with their number as n
function Pool:map(fn, xs, chunksize) end

---@param fn function
---@param xs any[]|fun(): any
---@param options? conc.Pool.Call
---@return conc.AsyncResult
function Pool:map_async(fn, xs, options) end

---@param fn function
---@param xs table[]|fun(): table
---@param chunksize? integer
---@return table results
function Pool:starmap(fn, xs, chunksize) end

---@param fn function
---@param xs table[]|fun(): table
---@param options? conc.Pool.Call
---@return conc.AsyncResult
function Pool:starmap_async(fn, xs, options) end

---Iterate over index and results as they come, in order.
---@param fn function
---@param xs any[]|fun(): any
---@param chunksize? integer
---@return conc.Pool.Results
function Pool:imap(fn, xs, chunksize) end

---... in the order in which they are done.
---@param fn function
---@param xs any[]|fun(): any
---@param chunksize? integer
---@return conc.Pool.Results
function Pool:imap_unordered(fn, xs, chunksize) end

---@class conc.Pool.Results
---@overload fun(): integer?, any ...
local Results = {}

---Raises a TimeoutError; one may ask again.
---@param timeout? number seconds; nil: for ever
---@return integer? i nil at the end
---@return any ... results
function Results:next(timeout) end

---Take no more work.
function Pool:close() end

---Drop what is not done.
function Pool:terminate() end

---Wait until the workers have ended, after close or terminate.
---@return true
function Pool:join() end

---The functions of conc.threading.Dict, for the dicts of managers and for its own.
multiprocessing.Dict = require "conc.threading".Dict

---@class conc.Manager.Options
---@field address? string where the server is: a path, or "host:port"
---@field authkey? string by default that of the process
---@field shutdown_timeout? number seconds
---@field ctx? conc.multiprocessing of get_context

---A server process that has objects, and what makes proxies of them.
---@class conc.BaseManager
local BaseManager = {}

---@param options? string|conc.Manager.Options
---@return conc.BaseManager
---@nodiscard
function multiprocessing.BaseManager(options) end

---@param options? string|conc.Manager.Options
---@return conc.Manager
---@nodiscard
function multiprocessing.SyncManager(options) end

---One that is started.
---@return conc.Manager
---@nodiscard
function multiprocessing.Manager() end

---@class conc.Manager.Type
---@field methods? string[] that clients may call
---@field method_to_typeid? table<string, string> of methods whose result stays there

---@param name string
---@param constructor? function called in the server
---@param options? conc.Manager.Type
function BaseManager:register(name, constructor, options) end

---@param initializer? function
---@param initargs? table
---@return conc.BaseManager self
function BaseManager:start(initializer, initargs) end

---@return conc.BaseManager self
function BaseManager:connect() end

---@class conc.ManagerServer
local ManagerServer = {}

---@return conc.ManagerServer
---@nodiscard
function BaseManager:get_server() end

function ManagerServer:serve_forever() end

---@return string
---@nodiscard
function ManagerServer:address() end

function BaseManager:shutdown() end

---@param timeout? number seconds; nil: for ever
---@return true? done
---@return "timeout"? why
function BaseManager:join(timeout) end

---@return string?
---@nodiscard
function BaseManager:address() end

---@return integer
---@nodiscard
function BaseManager:number_of_objects() end

---@class conc.Manager: conc.BaseManager
local Manager = {}

---@param t? table
---@return conc.Dict
---@nodiscard
function Manager:dict(t) end

---@param t? table
---@return table
---@nodiscard
function Manager:namespace(t) end

---@class conc.ListProxy
---@field [integer] any
---@operator len: integer
local ListProxy = {}

---@param values? any[]
---@return conc.ListProxy
---@nodiscard
function Manager:list(values) end

---@param value any
function ListProxy:append(value) end

---@param values any[]
function ListProxy:extend(values) end

---@param i integer
---@param value any
function ListProxy:insert(i, value) end

---@param i? integer the last
---@return any
function ListProxy:pop(i) end

---@param value any
---@return boolean was there
function ListProxy:remove(value) end

---@param value any
---@return integer?
function ListProxy:index(value) end

---@param value any
---@return integer
function ListProxy:count(value) end

---@param i? integer
---@param j? integer
---@return any[]
function ListProxy:slice(i, j) end

function ListProxy:reverse() end

---@param less? fun(a: any, b: any): boolean
function ListProxy:sort(less) end

function ListProxy:clear() end

---@class conc.SetProxy
---@operator len: integer
local SetProxy = {}

---@param values? any[]
---@return conc.SetProxy
---@nodiscard
function Manager:set(values) end

---@param value any
---@return boolean changed
function SetProxy:add(value) end

---@param value any
---@return boolean changed
function SetProxy:discard(value) end

---@param value any
---@return boolean
function SetProxy:contains(value) end

---@return any
function SetProxy:pop() end

---@param values any[]
function SetProxy:update(values) end

---@return any[]
function SetProxy:values() end

function SetProxy:clear() end

---@param type conc.typecode
---@param value? conc.element
---@return conc.Value
---@nodiscard
function Manager:value(type, value) end

---@param type conc.typecode
---@param values integer|table|string
---@return conc.Array
---@nodiscard
function Manager:array(type, values) end

---@param maxsize? integer
---@return conc.Queue
---@nodiscard
function Manager:queue(maxsize) end

---@param maxsize? integer
---@return conc.Queue
---@nodiscard
function Manager:joinable_queue(maxsize) end

---@return conc.Lock
---@nodiscard
function Manager:lock() end

---@return conc.RLock
---@nodiscard
function Manager:rlock() end

---@param value? integer
---@return conc.Semaphore
---@nodiscard
function Manager:semaphore(value) end

---@param value? integer
---@return conc.BoundedSemaphore
---@nodiscard
function Manager:bounded_semaphore(value) end

---@param lock? conc.Lock|conc.RLock of this manager
---@return conc.Condition
---@nodiscard
function Manager:condition(lock) end

---@return conc.Event
---@nodiscard
function Manager:event() end

---@param parties integer
---@param action? function
---@param timeout? number
---@return conc.Barrier
---@nodiscard
function Manager:barrier(parties, action, timeout) end

---@param processes? integer
---@return conc.Pool
---@nodiscard
function Manager:pool(processes) end

return multiprocessing
