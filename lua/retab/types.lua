---@meta _
-- luacheck: ignore 211 212 221 241
--- Types of everything public, for lua-language-server and other readers of LuaCATS annotations. Nothing here runs.

-- ---- the module ----

--- Lists the experiment runs of Retab.
---
--- ```lua
--- local retab = require "retab"
--- local client = retab.new { api_key = "..." }
--- for run in client.workflows.experiments.runs.iter { experiment_id = "exp_abc" } do
---   print(run.id, run.lifecycle.status, run.score)
--- end
--- ```
---@class retab
---@field _VERSION string such as "0.1.0"
---@field null lightuserdata JSON null as a value: the same as `cjson.null` and `ngx.null`
local retab = {}

--- Makes a client. Nothing is sent. Raises at a misuse, and where there is no key.
---
--- ```lua
--- local client = retab.new()                       -- the key is RETAB_API_KEY's
--- local client = retab.new { api_key = read_secret, timeout = 10, deadline = 30 }
--- ```
---@param options? retab.Options
---@return retab.Client
function retab.new(options) end

---@class retab.Options
---@field api_key? string|fun(): string default `RETAB_API_KEY`; a function is asked once per attempt
---@field auth? "api-key"|"bearer" default "api-key": which header carries the key
---@field base_url? string default `RETAB_API_BASE_URL`, `RETAB_BASE_URL`, "https://api.retab.com"
---@field allow_http? boolean plain http beyond this machine
---@field timeout? number seconds for one attempt; default 60
---@field connect_timeout? number seconds to connect; default 10
---@field deadline? number seconds for a whole call with its retries; default none
---@field max_retries? integer default 2
---@field max_body_bytes? integer of an answer after decompression; default 64 MiB
---@field max_connections? integer open at once; further calls wait their turn; default 8
---@field null? any what JSON null becomes: nil (the field is absent) unless given; `retab.null`, say
---@field user_agent? string comes behind the library's own
---@field headers? table<string, string> sent with every request; they win over all but the key's own
---@field proxy? string URL; default that of the environment
---@field ca_file? string certificates to trust, in PEM; default `SSL_CERT_FILE`, the system's
---@field ca_path? string a directory of them; default `SSL_CERT_DIR`, the system's
---@field on_request? fun(event: retab.RequestEvent) before each attempt; an error in it changes nothing
---@field on_response? fun(event: retab.ResponseEvent) after each answer
---@field on_retry? fun(event: retab.RetryEvent) before each wait
---@field driver? "blocking"|"luv"|"ngx"|"resty"|"cqueues"|retab.Driver default: what the host offers

--- The key is masked in what hooks see.
---@class retab.RequestEvent
---@field method string
---@field url string
---@field headers table<string, string>
---@field attempt integer 1 at the first

---@class retab.ResponseEvent
---@field status integer
---@field headers table<string, string> names in lower case
---@field url string
---@field attempt integer

---@class retab.RetryEvent
---@field attempt integer the one that failed
---@field delay number seconds until the next
---@field error retab.Error

-- ---- the client ----

---@class retab.Client
---@field workflows { experiments: { runs: retab.Runs } }
local Client = {}

--- Counts since the client was made.
---@return retab.Stats
function Client:stats() end

--- Closes the connections and cancels what is under way. Later calls raise "client is closed".
function Client:close() end

--- Runs a function in a coroutine of the client's host: a light thread in nginx. An error that nobody catches is
--- reported there.
---@param f function
---@param ... any what it is called with
---@return any thread of the host's own kind
function Client:spawn(f, ...) end

---@class retab.Stats
---@field requests integer attempts sent
---@field retries integer
---@field bytes integer of bodies received
---@field connections integer opened so far

-- ---- the endpoint ----

--- Experiment runs. Each function may be called with a dot or a colon.
---@class retab.Runs
local Runs = {}

--- One page, newest first unless `order` says otherwise. Misuse raises before anything is sent.
---
--- ```lua
--- local page, message, err = runs.list { experiment_id = "exp_abc", status = "completed" }
--- if not page then return nil, message end
--- for _, run in ipairs(page.data) do print(run.id, run.score) end
--- ```
---@param params? retab.RunParams
---@param options? retab.CallOptions
---@return retab.Page|nil page
---@return string|nil message
---@return retab.Error|nil err
function Runs.list(params, options) end

--- Every run of every page. Sends nothing before the first step. A failure raises the error object out of the loop.
---
--- ```lua
--- for run in runs.iter({ workflow_id = "wf_abc123" }, { max_items = 500 }) do print(run.id) end
--- ```
---@param params? retab.RunParams
---@param options? retab.WalkOptions
---@return retab.Iterator
function Runs.iter(params, options) end

--- Every page, like `iter`.
---@param params? retab.RunParams
---@param options? retab.WalkOptions
---@return retab.PageIterator
function Runs.pages(params, options) end

--- The request of a page, for an HTTP stack of one's own.
---@param params? retab.RunParams
---@param options? retab.CallOptions
---@return retab.Request
function Runs.request(params, options) end

--- What an HTTP stack of one's own was answered, as `list` would return it.
---
--- ```lua
--- local request = runs.request { experiment_id = "exp_abc" }
--- local status, headers, body = my_http(request.method, request.url, request.headers)
--- local page, message, err = runs.parse(status, headers, body)
--- ```
---@param status integer
---@param headers? table<string, string> names in any case
---@param body? string
---@param options? retab.CallOptions only `null` and `fields` matter
---@return retab.Page|nil page whose `next` and `prev` raise
---@return string|nil message
---@return retab.Error|nil err
function Runs.parse(status, headers, body, options) end

---@alias retab.Status "pending"|"queued"|"running"|"completed"|"error"|"cancelled"

--- A day (`YYYY-MM-DD`, the whole of it in UTC), RFC 3339, a date-time without a zone (UTC), or epoch seconds.
---@alias retab.Date string|number

--- What is not given is not sent.
---@class retab.RunParams
---@field workflow_id? string
---@field experiment_id? string
---@field block_id? string
---@field status? retab.Status
---@field exclude_status? retab.Status
---@field trigger_type? string
---@field from_date? retab.Date the earliest creation
---@field to_date? retab.Date the latest creation
---@field sort_by? string the server's default is created_at
---@field before? string a cursor; not together with `after`
---@field after? string a cursor: the page behind it
---@field limit? integer runs a page, 1 to 100; the server's default is 20, that of a walk 100
---@field order? "asc"|"desc" the server's default is desc

---@class retab.CallOptions
---@field timeout? number seconds for one attempt
---@field deadline? number seconds for the call with its retries
---@field max_retries? integer
---@field headers? table<string, string>
---@field query? table<string, string|number|boolean> parameters that this library does not know yet
---@field null? any what JSON null becomes
---@field fields? string[] paths such as "lifecycle.status": only these are built

---@class retab.WalkOptions: retab.CallOptions
---@field max_items? integer runs, over all pages
---@field max_pages? integer
---@field prefetch? integer pages requested ahead; default 1, 0 is off
---@field parallel? integer windows of a date range walked at a time: same runs, same order, each once

---@class retab.Request
---@field method "GET"
---@field url string
---@field headers table<string, string>

-- ---- answers ----

---@class retab.Page
---@field data retab.Run[] as the server sent them
---@field list_metadata retab.ListMetadata
---@field request_id? string the server's name for the request
local Page = {}

--- Whether a page follows.
---@return boolean
function Page:has_more() end

--- The next page, asked for with the same filters.
---@return retab.Page|nil page nil where there is no more, or with an error
---@return string|nil message
---@return retab.Error|nil err
function Page:next() end

--- The page before, like `next`.
---@return retab.Page|nil page
---@return string|nil message
---@return retab.Error|nil err
function Page:prev() end

---@class retab.ListMetadata
---@field before? string the cursor of the page before
---@field after? string the cursor of the next page; nil at the end

--- A run. Servers send one of two shapes: the documented one (`workflow`, `block_kind`, `definition_fingerprint`), or a
--- flat one (`workflow_id`, `workflow_version_id`, `block_type`, `block_execution_fingerprint`). Fields that this
--- library does not know are kept. A field that is null is absent, unless the option `null` says otherwise.
---@class retab.Run
---@field id string
---@field workflow? { workflow_id: string, version_id: string } documented shape
---@field workflow_id? string flat shape
---@field workflow_version_id? string flat shape
---@field trigger { type: string? }
---@field lifecycle retab.Lifecycle
---@field timing retab.Timing
---@field experiment_id string
---@field block_id string
---@field block_kind? string documented shape: extract, classifier, split, for_each
---@field block_type? string flat shape
---@field n_consensus integer 3, 5 or 7
---@field total_document_count integer
---@field completed_document_count integer
---@field error_count integer
---@field score? number 0 to 1
---@field definition_fingerprint? string documented shape
---@field block_execution_fingerprint? string flat shape
---@field documents_fingerprint? string
---@field [string] any

---@class retab.Lifecycle
---@field status retab.Status|string
---@field message? string of an error
---@field details? retab.LifecycleDetails of an error
---@field reason? string of a cancellation

---@class retab.LifecycleDetails
---@field message? string
---@field stack_trace? string
---@field block_id? string
---@field block_name? string
---@field error_code? string
---@field context? table

--- RFC 3339, as the server sent them.
---@class retab.Timing
---@field created_at? string
---@field started_at? string
---@field completed_at? string
---@field duration_ms? integer milliseconds

-- ---- walks ----

---@class retab.Walk
---@field cursor? string the id of the last run handed out: pass it as `after` to go on, nothing lost or repeated
local Walk = {}

--- Cancels what was sent ahead. A loop that is left does it by itself: at once on Lua 5.4, at collection elsewhere.
function Walk:close() end

---@class retab.Iterator: retab.Walk
---@overload fun(): retab.Run?
local Iterator = {}

--- The next run. After a failure it goes on from the same place.
---
--- ```lua
--- local it = runs.iter { experiment_id = "exp_abc" }
--- local run, message, err = it:next()
--- ```
---@return retab.Run|nil run nil at the end, or with an error
---@return string|nil message
---@return retab.Error|nil err
function Iterator:next() end

---@class retab.PageIterator: retab.Walk
---@overload fun(): retab.Page?
local PageIterator = {}

--- The next page, like `retab.Iterator.next`.
---@return retab.Page|nil page
---@return string|nil message
---@return retab.Error|nil err
function PageIterator:next() end

-- ---- errors ----

---@alias retab.ErrorKind
---| "authentication" # 401: the key is not accepted
---| "permission" # 403: the key may not do this
---| "not_found" # 404
---| "conflict" # 409
---| "validation" # 400, 422: the server refuses the parameters
---| "rate_limit" # 429
---| "server" # 500 and up
---| "api" # any other status but those of success; redirects too
---| "connection" # nobody answered
---| "timeout" # 408, or no answer in time
---| "tls" # no trust in the server
---| "decode" # what answered is not a page
---| "too_large" # more than max_body_bytes
---| "cursor_loop" # the server repeats its cursors
---| "cancelled" # by the caller

--- What a failure is known by. `tostring(err)` is several lines for a person. The key appears nowhere in it.
---@class retab.Error
---@field kind retab.ErrorKind
---@field message string one line for a person, at most 500 bytes
---@field status? integer of HTTP
---@field code? string|integer the server's
---@field details? any the server's
---@field errors? table the server's list of what is wrong
---@field request_id? string quote it when you report a problem
---@field method? string
---@field url? string
---@field body? string the answer, cut at 64 KiB
---@field attempts? integer how often it was tried
---@field retryable boolean whether another try could have helped
---@field retry_after? number seconds that the server asks to wait
---@field cursor? string what to pass as `after` to go on; nil before the first run

-- ---- drivers ----

--- How requests are carried and waited for: the five functions that are not optional. They are called without self.
---@class retab.Driver
---@field send fun(request: retab.DriverRequest): retab.Ticket begins a request, and does not wait
---@field await fun(ticket: retab.Ticket): retab.DriverAnswer?, retab.DriverFailure? waits, once per ticket
---@field cancel fun(ticket: retab.Ticket) gives a request up; whoever awaits it gets kind "cancelled"
---@field sleep fun(seconds: number)
---@field now fun(): number epoch seconds
---@field ready? fun(ticket: retab.Ticket): boolean whether await would not wait
---@field await_any? fun(tickets: retab.Ticket[]) waits until await would not wait on one of them
---@field connections? fun(): integer opened so far
---@field close? fun() frees everything; the client calls it once
---@field spawn? fun(f: function, ...: any): any runs a function in a coroutine of the host

--- Whatever the driver tells its requests by: a table or userdata.
---@alias retab.Ticket table|userdata

---@class retab.DriverRequest: retab.Request
---@field timeout number seconds for the attempt
---@field connect_timeout number seconds to connect, within timeout
---@field expires number seconds that the call has left, the wait for a connection included; may be infinite
---@field max_body_bytes integer of the answer after decompression
---@field bytes boolean the body may be an object with `#`, tostring and close, that `core.envelope` takes; never asked
---of a driver that is a table

---@class retab.DriverAnswer
---@field status integer
---@field headers table<string, string> names in any case
---@field body string decompressed

---@class retab.DriverFailure
---@field kind "connection"|"timeout"|"tls"|"decode"|"too_large"|"cancelled"
---@field message string

-- ---- retab.core ----

--- The decoder by itself: `require "retab.core"` loads no libcurl.
---@class retab.core
---@field null lightuserdata as `retab.null`
local core = {}

--- JSON (RFC 8259, strictly) to Lua values.
---
--- ```lua
--- local value, message, position = core.decode('{"a": [1, 2.5, null]}', { null = core.null })
--- ```
---@param text string
---@param options? retab.DecodeOptions
---@return any value nil with a message where the text is not JSON
---@return string|nil message
---@return integer|nil position of the first error, in bytes from 1
function core.decode(text, options) end

---@class retab.DecodeOptions
---@field null? any what null becomes; nil unless given
---@field fields? string[] paths from the root, which pass through arrays: only these are built
---@field max_depth? integer containers within one another; default 128
