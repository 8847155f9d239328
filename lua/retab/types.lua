---@meta _
-- luacheck: ignore 211 212 221 241
--- types.lua: LuaCATS annotations of everything public, for lua-language-server and for scripts/docs. Nothing here
--- runs. Times are in seconds and sizes in bytes, unless a field says otherwise.

-- ---- the module ----

--- A client of Retab's experiments: runs, their results and metrics.
---
--- ```lua
--- local retab = require "retab"
--- local client = retab.new { api_key = "..." }
--- for run in client.workflows.experiments.runs.iter { experiment_id = "exp_abc" } do
---   print(run.id, run.lifecycle.status, run.score)
--- end
--- ```
---@class retab
---@field _VERSION string such as "0.2.0"
---@field null lightuserdata JSON null as a value: the same as `cjson.null` and `ngx.null`
local retab = {}

--- Creates a client. It sends nothing. Invalid options and a missing API key raise an error that points at your line.
---
--- ```lua
--- local client = retab.new()                       -- with the key of RETAB_API_KEY
--- local client = retab.new { api_key = read_secret, timeout = 10, deadline = 30 }
--- ```
---@param options? retab.Options
---@return retab.Client
function retab.new(options) end

--- Returns true for an error object of this library.
---
--- ```lua
--- local ok, err = pcall(function()
---   for run in runs.iter { experiment_id = "exp_abc" } do print(run.id) end
--- end)
--- if not ok and retab.is_error(err) and err.kind == "rate_limit" then wait(err.retry_after) end
--- ```
---@param value any
---@return boolean
function retab.is_error(value) end

---@class retab.Options
---@field api_key? string|fun(): string default `RETAB_API_KEY`; a function is called once per attempt
---@field auth? "api-key"|"bearer" default `RETAB_AUTH`, "api-key": sends `Api-Key: KEY` or `Authorization: Bearer KEY`
---@field base_url? string default `RETAB_API_BASE_URL`, `RETAB_BASE_URL`, "https://api.retab.com"
---@field allow_http? boolean allows plain http to other machines, which shows the key to the network; default false
---@field timeout? number seconds for one attempt; default 60
---@field connect_timeout? number seconds to connect; default 10
---@field deadline? number seconds for a whole call with its retries; default none
---@field max_retries? integer attempts after the first one; default 2
---@field max_body_bytes? integer largest body of a response after decompression; default 64 MiB
---@field max_connections? integer connections open at a time; further requests wait; default 8
---@field null? any what JSON null becomes; default nil: the field is absent
---@field user_agent? string sent after that of the library
---@field headers? table<string, string> sent with every request; they replace all headers but that of the key
---@field proxy? string URL; default that of the environment. Plain http to this machine uses it only with `allow_http`
---@field ca_file? string PEM file; only its certificates are trusted; default `SSL_CERT_FILE`, the system's
---@field ca_path? string directory of certificates; default `SSL_CERT_DIR`, the system's
---@field on_request? fun(event: retab.RequestEvent) called before each attempt; its errors are ignored
---@field on_response? fun(event: retab.ResponseEvent) called after each response; its errors are ignored
---@field on_retry? fun(event: retab.RetryEvent) called before each wait for a retry; its errors are ignored
---@field debug? boolean|fun(line: string) true writes a line per attempt and per retry to stderr, nginx's error log or
---Neovim's messages; a function takes the line instead; default `RETAB_DEBUG`
---@field driver? "blocking"|"luv"|"ngx"|"resty"|"cqueues"|retab.Driver default: the one that fits the host

--- The key is masked in what hooks see. A hook may change its table: this changes nothing that is sent or returned.
---@class retab.RequestEvent
---@field method string
---@field url string
---@field headers table<string, string>
---@field attempt integer 1 for the first attempt

---@class retab.ResponseEvent
---@field status integer
---@field headers table<string, string> names in lower case
---@field url string
---@field attempt integer 1 for the first attempt
---@field elapsed number seconds since the attempt was sent
---@field request_id? string the header `x-request-id`

---@class retab.RetryEvent
---@field attempt integer the attempt that failed
---@field delay number seconds until the next attempt
---@field error retab.Error

-- ---- the client ----

--- Each function of a client and of its resources may be called with a dot or a colon.
---@class retab.Client
---@field workflows { experiments: retab.Experiments }
local Client = {}

--- Returns counts since the client was created.
---
--- ```lua
--- print(client:stats().requests)
--- ```
---@return retab.Stats
function Client:stats() end

--- Closes the connections and cancels the requests in flight, which return an error of kind `cancelled`. Later calls
--- raise "client is closed".
---
--- ```lua
--- client:close()
--- ```
function Client:close() end

--- Runs a function in a coroutine of the client's host: a light thread in nginx. The host reports an error that nobody
--- catches.
---
--- ```lua
--- client:spawn(function() print(#runs.all { experiment_id = "exp_abc" }) end)
--- ```
---@param f function
---@param ... any its arguments
---@return any thread of the host's own kind
function Client:spawn(f, ...) end

---@class retab.Stats
---@field requests integer attempts that were sent
---@field retries integer attempts after a failed one
---@field bytes integer received in bodies
---@field connections integer opened so far

-- ---- options of calls ----

---@class retab.CallOptions
---@field timeout? number seconds for one attempt; default the client's
---@field deadline? number seconds for the call with its retries; default the client's
---@field max_retries? integer default the client's
---@field headers? table<string, string> they replace those of the client
---@field query? table<string, retab.QueryValue|retab.QueryValue[]> parameters that this library does not know yet; the
---name of an array is repeated for each value
---@field null? any what JSON null becomes; default the client's
---@field fields? string[] paths such as "lifecycle.status": only these fields are built
---@field api_key? string|fun(): string instead of the client's

---@alias retab.QueryValue string|number|boolean

---@class retab.WalkOptions: retab.CallOptions
---@field max_items? integer items in total, at least 1
---@field max_pages? integer pages in total, at least 1
---@field prefetch? integer pages requested ahead; default 1, 0 is off
---@field parallel? integer requests in flight over slices of a date range; runs only. It needs `from_date`. Runs are
---ordered by `timing.created_at`, without duplicates

---@class retab.WaitOptions: retab.CallOptions
---@field interval? number seconds between two requests; default 2
---@field deadline? number seconds for the whole wait; default 600
---@field on_update? fun(run: retab.Run) called with the first run, and at each change of status or counts

-- ---- runs ----

---@alias retab.Status "pending"|"queued"|"running"|"completed"|"error"|"cancelled"

--- A day (`YYYY-MM-DD`, all of it in UTC), RFC 3339, a date-time without a zone (UTC), or epoch seconds.
---@alias retab.Date string|number

--- Parameters of runs. Omitted parameters are not sent.
---@class retab.RunParams
---@field workflow_id? string
---@field experiment_id? string
---@field block_id? string
---@field status? retab.Status
---@field exclude_status? retab.Status
---@field trigger_type? string
---@field from_date? retab.Date earliest time of creation, inclusive
---@field to_date? retab.Date latest time of creation, inclusive; not earlier than `from_date`
---@field sort_by? string default of the server: created_at
---@field before? string a cursor; not together with `after`
---@field after? string a cursor: the page after this item
---@field limit? integer page size, 1-100; default of the server 20, of walks 100
---@field order? "asc"|"desc" default of the server: desc

---@class retab.CreateParams
---@field experiment_id string
---@field workflow_id? string default: the experiment's; another workflow returns 404
---@field plan_token? string of a preview of the run; refused if the plan has changed

--- Experiment runs. Failures are returned as `nil, message, err`; invalid arguments raise an error that points at your
--- line.
---@class retab.Runs
local Runs = {}

--- Requests one page, newest first by default.
---
--- ```lua
--- local page, message, err = runs.list { experiment_id = "exp_abc", status = "completed" }
--- if not page then return nil, message end
--- for _, run in ipairs(page.data) do print(run.id, run.score) end
--- ```
---@param params? retab.RunParams
---@param options? retab.CallOptions
---@return retab.RunPage|nil page
---@return string|nil message
---@return retab.Error|nil err
function Runs.list(params, options) end

--- Walks over every run of every page. Nothing is sent before the first step. A failure raises the error object out of
--- the loop.
---
--- ```lua
--- for run in runs.iter({ workflow_id = "wf_abc123" }, { max_items = 500 }) do print(run.id) end
--- ```
---@param params? retab.RunParams
---@param options? retab.WalkOptions
---@return retab.RunIterator
function Runs.iter(params, options) end

--- Walks over every page, like `iter`.
---
--- ```lua
--- for page in runs.pages { workflow_id = "wf_abc123" } do print(#page.data, page.request_id) end
--- ```
---@param params? retab.RunParams
---@param options? retab.WalkOptions
---@return retab.RunPageIterator
function Runs.pages(params, options) end

--- Returns every run of every page as an array.
---
--- ```lua
--- local all, message, err = runs.all({ experiment_id = "exp_abc" }, { max_items = 500 })
--- if not all then print(message, err.cursor) end -- pass err.cursor as `after` to resume
--- ```
---@param params? retab.RunParams
---@param options? retab.WalkOptions
---@return retab.Run[]|nil runs
---@return string|nil message
---@return retab.Error|nil err `err.cursor` is the id of the last run that was received
function Runs.all(params, options) end

--- Requests one run.
---
--- ```lua
--- local run, message = runs.get "exprun_1"
--- ```
---@param id string
---@param options? retab.CallOptions
---@return retab.Run|nil run
---@return string|nil message
---@return retab.Error|nil err
function Runs.get(id, options) end

--- Polls a run until its status is completed, error or cancelled. It continues after failures that can pass, and after
--- two 404s in a row. After the deadline the error is of kind `timeout`, and `err.run` is the last run received.
---
--- ```lua
--- local run, message, err = runs.wait("exprun_1", { deadline = 3600, on_update = function(now)
---   print(now.lifecycle.status, now.completed_document_count)
--- end })
--- ```
---@param id string|retab.Run the id of a run, or a run
---@param options? retab.WaitOptions
---@return retab.Run|nil run
---@return string|nil message
---@return retab.Error|nil err
function Runs.wait(id, options) end

--- Starts a run. The request is repeated only if the server cannot have acted: nothing was sent, or the status is 429.
--- If a run may exist although the call failed, `err.retryable` is false and the message says what to look up.
---
--- ```lua
--- local run, message, err = runs.create { experiment_id = "exp_abc" }
--- if run then run = runs.wait(run) end
--- ```
---@param params retab.CreateParams
---@param options? retab.CallOptions
---@return retab.Run|nil run
---@return string|nil message
---@return retab.Error|nil err
function Runs.create(params, options) end

--- Cancels a run and its results. Cancelling twice is harmless. A run that is completed or ended in error returns 404.
---
--- ```lua
--- local cancelled, message = runs.cancel "exprun_1"
--- ```
---@param id string
---@param options? retab.CallOptions
---@return retab.CancelledRun|nil cancelled
---@return string|nil message
---@return retab.Error|nil err
function Runs.cancel(id, options) end

--- Returns the request of a page, for an HTTP client of your own.
---
--- ```lua
--- local request = runs.request { experiment_id = "exp_abc" }
--- local status, headers, body = my_http(request.method, request.url, request.headers)
--- ```
---@param params? retab.RunParams
---@param options? retab.CallOptions
---@return retab.Request
function Runs.request(params, options) end

--- Reads the response that an HTTP client of your own received, and returns what `list` would return.
---
--- ```lua
--- local page, message, err = runs.parse(status, headers, body)
--- ```
---@param status integer
---@param headers? table<string, string> names in any case
---@param body? string
---@param options? retab.CallOptions only `null` and `fields` matter
---@return retab.RunPage|nil page its `next` and `prev` raise
---@return string|nil message
---@return retab.Error|nil err
function Runs.parse(status, headers, body, options) end

-- ---- results ----

--- Parameters of results. Omitted parameters are not sent.
---@class retab.ResultParams
---@field run_id string
---@field before? string a cursor; not together with `after`
---@field after? string a cursor: the page after this item
---@field limit? integer page size, 1-100; default 100
---@field order? "asc"|"desc" default of the server: desc

--- Results of a run, one per document. The functions are those of `retab.Runs`, with `run_id` required.
---@class retab.Results
local Results = {}

--- Requests one page.
---
--- ```lua
--- local page, message, err = results.list { run_id = "exprun_1" }
--- ```
---@param params retab.ResultParams
---@param options? retab.CallOptions
---@return retab.ResultPage|nil page
---@return string|nil message
---@return retab.Error|nil err
function Results.list(params, options) end

--- Walks over every result of a run.
---
--- ```lua
--- for result in results.iter { run_id = "exprun_1" } do print(result.document_id, result.lifecycle.status) end
--- ```
---@param params retab.ResultParams
---@param options? retab.WalkOptions
---@return retab.ResultIterator
function Results.iter(params, options) end

--- Walks over every page.
---
--- ```lua
--- for page in results.pages { run_id = "exprun_1" } do print(#page.data) end
--- ```
---@param params retab.ResultParams
---@param options? retab.WalkOptions
---@return retab.ResultPageIterator
function Results.pages(params, options) end

--- Returns every result of a run as an array.
---
--- ```lua
--- local all, message, err = results.all { run_id = "exprun_1" }
--- ```
---@param params retab.ResultParams
---@param options? retab.WalkOptions
---@return retab.Result[]|nil results
---@return string|nil message
---@return retab.Error|nil err
function Results.all(params, options) end

--- Requests one result.
---
--- ```lua
--- local result, message, err = results.get "expresult_1"
--- ```
---@param id string
---@param options? retab.CallOptions
---@return retab.Result|nil result
---@return string|nil message
---@return retab.Error|nil err
function Results.get(id, options) end

--- Returns the request of a page, like `retab.Runs.request`.
---
--- ```lua
--- local request = results.request { run_id = "exprun_1" }
--- ```
---@param params retab.ResultParams
---@param options? retab.CallOptions
---@return retab.Request
function Results.request(params, options) end

--- Reads the response for such a request, like `retab.Runs.parse`.
---
--- ```lua
--- local page, message, err = results.parse(status, headers, body)
--- ```
---@param status integer
---@param headers? table<string, string>
---@param body? string
---@param options? retab.CallOptions
---@return retab.ResultPage|nil page
---@return string|nil message
---@return retab.Error|nil err
function Results.parse(status, headers, body, options) end

-- ---- metrics ----

---@class retab.MetricsParams
---@field run_id string
---@field view? "summary"|"by_document"|"by_target"|"votes" default of the server: summary
---@field document_id? string required by the views by_document and votes
---@field target_path? string required by the views by_target and votes
---@field include_prior? boolean default of the server: true
---@field prior_run_id? string default of the server: the previous completed run

--- Consensus metrics of a run.
---@class retab.Metrics
local Metrics = {}

--- Requests the metrics of a run. Stale and missing metrics are returned as values, not as errors: check `kind`.
---
--- ```lua
--- local metrics, message, err = client.workflows.experiments.metrics.get { run_id = "exprun_1" }
--- if metrics and metrics.kind == "summary" then print(metrics.score, metrics.prior_score) end
--- ```
---@param params retab.MetricsParams
---@param options? retab.CallOptions
---@return retab.AnyMetrics|nil metrics
---@return string|nil message
---@return retab.Error|nil err
function Metrics.get(params, options) end

-- ---- experiments ----

--- Parameters of experiments. Omitted parameters are not sent.
---@class retab.ExperimentParams
---@field workflow_id string
---@field block_id? string
---@field before? string a cursor; not together with `after`
---@field after? string a cursor: the page after this item
---@field limit? integer page size, 1-100; default of the server 50, of walks 100
---@field order? "asc"|"desc" default of the server: desc

--- Experiments of a workflow, and what belongs to them. The functions are those of `retab.Runs`, with `workflow_id`
--- required.
---@class retab.Experiments
---@field runs retab.Runs
---@field results retab.Results
---@field metrics retab.Metrics
local Experiments = {}

--- Requests one page.
---
--- ```lua
--- local page, message, err = client.workflows.experiments.list { workflow_id = "wf_abc123" }
--- ```
---@param params retab.ExperimentParams
---@param options? retab.CallOptions
---@return retab.ExperimentPage|nil page
---@return string|nil message
---@return retab.Error|nil err
function Experiments.list(params, options) end

--- Walks over every experiment of a workflow.
---
--- ```lua
--- for experiment in client.workflows.experiments.iter { workflow_id = "wf_abc123" } do print(experiment.name) end
--- ```
---@param params retab.ExperimentParams
---@param options? retab.WalkOptions
---@return retab.ExperimentIterator
function Experiments.iter(params, options) end

--- Walks over every page.
---
--- ```lua
--- for page in client.workflows.experiments.pages { workflow_id = "wf_abc123" } do print(#page.data) end
--- ```
---@param params retab.ExperimentParams
---@param options? retab.WalkOptions
---@return retab.ExperimentPageIterator
function Experiments.pages(params, options) end

--- Returns every experiment of a workflow as an array.
---
--- ```lua
--- local all, message, err = client.workflows.experiments.all { workflow_id = "wf_abc123" }
--- ```
---@param params retab.ExperimentParams
---@param options? retab.WalkOptions
---@return retab.Experiment[]|nil experiments
---@return string|nil message
---@return retab.Error|nil err
function Experiments.all(params, options) end

--- Requests one experiment.
---
--- ```lua
--- local experiment, message, err = client.workflows.experiments.get "exp_abc"
--- ```
---@param id string
---@param options? retab.CallOptions
---@return retab.Experiment|nil experiment
---@return string|nil message
---@return retab.Error|nil err
function Experiments.get(id, options) end

--- Returns the request of a page, like `retab.Runs.request`.
---
--- ```lua
--- local request = client.workflows.experiments.request { workflow_id = "wf_abc123" }
--- ```
---@param params retab.ExperimentParams
---@param options? retab.CallOptions
---@return retab.Request
function Experiments.request(params, options) end

--- Reads the response for such a request, like `retab.Runs.parse`.
---
--- ```lua
--- local page, message, err = client.workflows.experiments.parse(status, headers, body)
--- ```
---@param status integer
---@param headers? table<string, string>
---@param body? string
---@param options? retab.CallOptions
---@return retab.ExperimentPage|nil page
---@return string|nil message
---@return retab.Error|nil err
function Experiments.parse(status, headers, body, options) end

-- ---- requests and pages ----

---@class retab.Request
---@field method "GET"
---@field url string
---@field headers table<string, string> the API key is in them

--- A page of a list. Fields of the envelope that this library does not know are kept.
---@class retab.Page
---@field data table[] items as the server sent them
---@field list_metadata retab.ListMetadata
---@field request_id? string the header `x-request-id`; quote it when you report a problem
---@field [string] any
local Page = {}

--- Returns true if another page follows.
---
--- ```lua
--- if page:has_more() then print("more runs than these") end
--- ```
---@return boolean
function Page:has_more() end

--- Requests the next page with the same filters.
---
--- ```lua
--- local following, message, err = page:next()
--- if err then return nil, message end
--- ```
---@return retab.Page|nil page nil if there is none, or with an error
---@return string|nil message
---@return retab.Error|nil err
function Page:next() end

--- Requests the previous page with the same filters.
---
--- ```lua
--- local previous, message, err = page:prev()
--- ```
---@return retab.Page|nil page nil if there is none, or with an error
---@return string|nil message
---@return retab.Error|nil err
function Page:prev() end

---@class retab.RunPage: retab.Page
---@field data retab.Run[]

---@class retab.ResultPage: retab.Page
---@field data retab.Result[]

---@class retab.ExperimentPage: retab.Page
---@field data retab.Experiment[]

---@class retab.ListMetadata
---@field before? string cursor of the previous page
---@field after? string cursor of the next page; nil at the end

-- ---- walks ----

---@class retab.Walk
---@field cursor? string id of the last item returned: pass it as `after` to resume without losing or repeating items
local Walk = {}

--- Ends the walk and cancels prefetched requests. Leaving a loop does the same: at once on Lua 5.4, at the next
--- collection elsewhere.
---
--- ```lua
--- it:close()
--- ```
function Walk:close() end

--- An iterator over items, which can be called: `for run in it do`.
---@class retab.Iterator: retab.Walk
---@overload fun(): table?
local Iterator = {}

--- Returns the next item. After a failure, the next call resumes at the same place.
---
--- ```lua
--- local it = runs.iter { experiment_id = "exp_abc" }
--- local run, message, err = it:next()
--- ```
---@return table|nil item nil at the end, or with an error
---@return string|nil message
---@return retab.Error|nil err
function Iterator:next() end

--- An iterator over pages, which can be called: `for page in it do`.
---@class retab.PageIterator: retab.Walk
---@overload fun(): retab.Page?
local PageIterator = {}

--- Returns the next page. After a failure, the next call resumes at the same place.
---
--- ```lua
--- local it = runs.pages { experiment_id = "exp_abc" }
--- local page, message, err = it:next()
--- ```
---@return retab.Page|nil page nil at the end, or with an error
---@return string|nil message
---@return retab.Error|nil err
function PageIterator:next() end

---@class retab.RunIterator: retab.Iterator
---@overload fun(): retab.Run?

---@class retab.ResultIterator: retab.Iterator
---@overload fun(): retab.Result?

---@class retab.ExperimentIterator: retab.Iterator
---@overload fun(): retab.Experiment?

---@class retab.RunPageIterator: retab.PageIterator
---@overload fun(): retab.RunPage?

---@class retab.ResultPageIterator: retab.PageIterator
---@overload fun(): retab.ResultPage?

---@class retab.ExperimentPageIterator: retab.PageIterator
---@overload fun(): retab.ExperimentPage?

-- ---- what the server sends ----

---@alias retab.BlockType "extract"|"classifier"|"split"|"for_each"

--- A run. Servers send one of two shapes: today's (`workflow_id`, `block_type`, `block_execution_fingerprint`), or the
--- documented one (`workflow`, `block_kind`, `definition_fingerprint`). Fields that this library does not know are
--- kept. A field that is null is absent, unless the option `null` has a value.
---@class retab.Run
---@field id string
---@field workflow_id? string today's shape
---@field workflow_version_id? string today's shape
---@field workflow? { workflow_id: string, version_id: string } documented shape
---@field experiment_id string
---@field block_id string
---@field trigger { type: string? }
---@field block_type? retab.BlockType|string today's shape
---@field block_kind? retab.BlockType|string documented shape
---@field n_consensus integer 3, 5 or 7
---@field lifecycle retab.Lifecycle
---@field timing retab.Timing
---@field parent_run_id? string
---@field block_version_id? string
---@field metrics_validity_fingerprint? string
---@field metrics_validity_fingerprint_version? integer
---@field block_execution_fingerprint? string today's shape
---@field definition_fingerprint? string documented shape
---@field documents_fingerprint string
---@field score? number 0 to 1
---@field total_document_count? integer
---@field completed_document_count? integer
---@field document_count? integer
---@field error_count? integer
---@field [string] any

--- What `cancel` returns.
---@class retab.CancelledRun
---@field id string
---@field lifecycle retab.Lifecycle
---@field [string] any

--- The state of a run or a result. `status` decides which other fields it can have.
---@alias retab.Lifecycle retab.PlainLifecycle|retab.ErrorLifecycle|retab.CancelledLifecycle

---@class retab.PlainLifecycle
---@field status "pending"|"queued"|"running"|"completed"|string

---@class retab.ErrorLifecycle
---@field status "error"
---@field message? string
---@field details? retab.LifecycleDetails

---@class retab.CancelledLifecycle
---@field status "cancelled"
---@field reason? string

---@class retab.LifecycleDetails
---@field message? string
---@field stack_trace? string
---@field block_id? string
---@field block_name? string
---@field error_code? string
---@field context? table

--- Times are RFC 3339, as the server sent them.
---@class retab.Timing
---@field created_at? string
---@field started_at? string
---@field completed_at? string
---@field duration_ms? integer milliseconds

--- The result of one document.
---@class retab.Result
---@field id string
---@field experiment_run_id string
---@field experiment_id string
---@field document_id string
---@field lifecycle retab.Lifecycle
---@field timing retab.Timing
---@field block_type retab.BlockType|string
---@field handle_inputs? table<string, retab.Handle> names such as "input-file-0"
---@field handle_outputs? table<string, retab.Handle>
---@field artifact? retab.Artifact
---@field attempt? integer
---@field [string] any

--- What goes into a block or comes out of it.
---@alias retab.Handle retab.JsonHandle|retab.FileHandle

---@class retab.JsonHandle
---@field type "json"
---@field data? any

---@class retab.FileHandle
---@field type "file"
---@field document { id: string, filename: string, mime_type: string }

---@alias retab.Operation
---| "extraction"
---| "split"
---| "classification"
---| "parse"
---| "edit"
---| "partition"
---| "conditional_evaluation"
---| "review_trigger_evaluation"
---| "while_loop_termination"
---| "api_call_invocation"
---| "function_invocation"

---@class retab.Artifact
---@field operation retab.Operation|string
---@field id string

--- An experiment.
---@class retab.Experiment
---@field id string
---@field workflow_id string
---@field block_id string
---@field name string
---@field block_type retab.BlockType|string
---@field n_consensus integer 3, 5 or 7
---@field document_count? integer
---@field last_run_id? string
---@field created_at? string RFC 3339
---@field updated_at? string RFC 3339
---@field status? "draft"|"processing"|"completed"|"failed"|"cancelled"|string
---@field score? number 0 to 1
---@field is_stale? boolean
---@field freshness? any
---@field freshness_state? "fresh"|"stale"|"unknown"|string
---@field freshness_reasons? string[]
---@field run_plan_mode? "run"|"noop"|"conflict"|"unknown"|string
---@field rerunnable_document_count? integer
---@field schema_drift? "none"|"partial"|"drifted"|"unknown"|string
---@field schema_drift_detail? any
---@field drift? any
---@field [string] any

--- Metrics by `kind`.
---@alias retab.AnyMetrics
---| retab.SummaryMetrics
---| retab.DocumentMetrics
---| retab.TargetMetrics
---| retab.VoteMetrics
---| retab.StaleMetrics
---| retab.NoMetrics

---@class retab.SummaryMetrics
---@field kind "summary"
---@field view "summary"
---@field experiment_id string
---@field run_id string
---@field block_type retab.BlockType|string
---@field block_execution_fingerprint? string
---@field score? number 0 to 1, over the scored documents
---@field prior_score? number
---@field prior_run_id? string
---@field documents? retab.ScoredDocument[]
---@field scored_document_count? integer
---@field total_document_count? integer
---@field aggregate? retab.Likelihoods|retab.Confusion the former for extract, the latter for split and classifier

---@class retab.ScoredDocument
---@field id string
---@field filename string
---@field score? number
---@field prior_score? number
---@field value? any in the metrics by target

---@class retab.Likelihoods
---@field likelihoods table<string, number> by path

---@class retab.Confusion
---@field diag table<string, number> by label
---@field flows { source: string, target: string, score: number }[]

---@class retab.DocumentMetrics
---@field kind "by_document"
---@field view "by_document"
---@field run_id string
---@field document { id: string, filename: string }
---@field score? number
---@field prior_score? number
---@field confusion? retab.Confusion
---@field targets? { path: string, score: number?, prior_score: number?, value: any }[]

---@class retab.TargetMetrics
---@field kind "by_target"
---@field view "by_target"
---@field run_id string
---@field target string
---@field score? number
---@field prior_score? number
---@field confusion? { self: number?, flow_from: table<string, number>, flow_to: table<string, number> }
---@field documents? retab.ScoredDocument[]

---@class retab.VoteMetrics
---@field kind "votes"
---@field view "votes"
---@field run_id string
---@field document { id: string, filename: string }
---@field target string
---@field score? number
---@field prior_score? number
---@field rows? retab.VoteRow[]

---@class retab.VoteRow
---@field consensus? any
---@field votes any[]
---@field score? number
---@field row_presence_score? number
---@field present_voter_count? integer
---@field total_voter_count? integer

--- The metrics are older than the experiment.
---@class retab.StaleMetrics
---@field kind "stale_metrics"
---@field error "stale_metrics"
---@field experiment_id string
---@field message string
---@field last_run { run_id: string, block_execution_fingerprint: string?, score: number?, created_at: string? }
---@field stale_reasons? string[] such as "config_changed"
---@field current_block_execution_fingerprint? string

--- The experiment has no metrics.
---@class retab.NoMetrics
---@field kind "no_metrics"
---@field error "no_metrics"
---@field experiment_id string
---@field message string

-- ---- errors ----

---@alias retab.ErrorKind
---| "authentication" # 401: the key is not accepted
---| "permission" # 403: the key is not allowed to do this
---| "not_found" # 404
---| "conflict" # 409
---| "validation" # 400, 422: the server refuses the parameters
---| "rate_limit" # 429
---| "server" # 500 and up
---| "api" # any other status except 2xx, redirects too
---| "connection" # the network or this machine failed
---| "timeout" # 408, or no response in time
---| "tls" # the server's certificate cannot be verified
---| "decode" # the response is not what was expected
---| "too_large" # the response is larger than max_body_bytes
---| "cursor_loop" # the server repeats its cursors
---| "cancelled" # the caller closed the client

--- An error object. `tostring(err)` is several lines for a person. The key is in none of its fields.
---@class retab.Error
---@field kind retab.ErrorKind
---@field message string one line for a person, at most 500 bytes
---@field hint? string what to do about it
---@field status? integer of HTTP
---@field code? string|integer code of the server
---@field details? any details of the server
---@field errors? table the server's list of what is wrong
---@field request_id? string the header `x-request-id`; quote it when you report a problem
---@field method? string
---@field url? string
---@field body? string body of the response, cut at 64 KiB
---@field attempts? integer attempts that were sent
---@field retryable boolean true if another attempt can help; false if a `create` may have acted
---@field retry_after? number seconds that the server asks to wait
---@field cursor? string what to pass as `after` to resume a walk; nil before the first item
---@field run? retab.Run of a failed `wait`: the last run received

-- ---- drivers ----

--- Sends requests and waits for them. The functions are called without self; the first five are required.
---@class retab.Driver
---@field send fun(request: retab.DriverRequest): retab.Ticket?, retab.DriverError? begins a request; does not wait
---@field await fun(ticket: retab.Ticket): retab.DriverResponse?, retab.DriverError? waits; called once per ticket
---@field cancel fun(ticket: retab.Ticket) cancels a request; `await` then returns kind "cancelled"
---@field sleep fun(seconds: number) waits; it ends early when the driver is closed
---@field now fun(): number epoch seconds
---@field ready? fun(ticket: retab.Ticket): boolean returns true if `await` would not wait
---@field connections? fun(): integer returns the number of connections opened so far
---@field close? fun() frees everything; the client calls it once
---@field spawn? fun(f: function, ...: any): any runs a function in a coroutine of the host

--- Identifies a request of a driver.
---@alias retab.Ticket table|userdata

---@class retab.DriverRequest
---@field method string
---@field url string
---@field headers table<string, string>
---@field body? string
---@field timeout number seconds for the attempt
---@field connect_timeout number seconds to connect, at most `timeout`
---@field expires number seconds for the attempt and any wait for a connection; can be infinite
---@field max_body_bytes integer largest body of the response after decompression
---@field direct boolean no proxy, whatever the environment or the options say

---@class retab.DriverResponse
---@field status integer
---@field headers table<string, string>|string names in any case; or the lines of the header, without the status line
---@field body string decompressed

---@class retab.DriverError
---@field kind "connection"|"timeout"|"tls"|"decode"|"too_large"|"cancelled"
---@field message string
---@field sent? boolean false if the server cannot have seen the request: a `create` can then be repeated

-- ---- retab.core ----

--- The decoder alone: `require "retab.core"` loads no libcurl.
---@class retab.core
---@field null lightuserdata the same as `retab.null`
---@field version string the same as `retab._VERSION`
local core = {}

--- Decodes JSON (RFC 8259, strictly).
---
--- ```lua
--- local value, message, position = core.decode('{"a": [1, 2.5, null]}', { null = core.null })
--- ```
---@param text string
---@param options? retab.DecodeOptions
---@return any value nil with a message if the text is not JSON
---@return string|nil message
---@return integer|nil position of the first error, in bytes from 1
function core.decode(text, options) end

---@class retab.DecodeOptions
---@field null? any what null becomes; default nil: the member is absent
---@field fields? string[] paths from the root, which pass through arrays: only these members are built
---@field max_depth? integer nested containers; default 128
