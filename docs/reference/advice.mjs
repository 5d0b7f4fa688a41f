/** What to do about each code of the error table, in one sentence. */
export const ADVICE = {
  INVALID_INPUT: 'Correct the fields that `errors` names; `GET /v1/pipelines/{name}` shows the input’s JSON Schema.',
  INVALID_JSON: 'Correct the JSON; `errors` names the position where the parser stopped.',
  EMPTY_BODY: 'Send a body; see the request forms in [http/runs.md](http/runs.md#start-a-run).',
  INVALID_MULTIPART: 'Let your HTTP client build the form and its boundary.',
  INVALID_HEADER: 'Correct the header that `errors` names.',
  UNSUPPORTED_CONTENT_TYPE:
    'Send `multipart/form-data`, `application/json` or a bare `audio/*` file, without a `Content-Encoding`.',
  TOO_MANY_STREAMS:
    'Retry after the time in `Retry-After`, close unused streams, start runs without waiting for them, or raise `MILLRACE_TENANT_STREAMS` or `MILLRACE_MAX_STREAMS`.',
  INPUT_TOO_LARGE:
    'Send less text: `errors` names the largest field. Media do not count; a stage of the pipeline can fetch other large data.',
  TOO_MANY_RUNS: 'Wait for a run to end, or raise `MILLRACE_TENANT_RUNS` or the key’s `limits.runs`.',
  OVERLOADED:
    'Retry after the time in `Retry-After`, add workers or model servers, or use a higher priority. If a stage fails with it, too many calls of the tenant are waiting: start fewer runs at a time, or add workers.',
  HEADERS_TOO_LARGE: 'Send at most 100 header fields of 16 KiB together; a large cookie is the usual cause.',
  UNAUTHENTICATED:
    'Send `Authorization: Bearer <key>` with a key that `millrace keys list` shows as active, or a new token of the identity provider.',
  ISSUER_UNAVAILABLE:
    'Retry after the time in `Retry-After`; if it persists, run `millrace doctor`, which reads the provider’s documents as the gateway does.',
  FORBIDDEN:
    'Use a key or token that has the permission or tenant; without keys, call from the gateway’s machine under one of its own names.',
  BODY_TOO_LARGE: 'Send less, or raise `MILLRACE_MAX_AUDIO_BYTES` or `MILLRACE_MAX_JSON_BYTES` at the gateway.',
  BODY_MEMORY_FULL:
    'Retry after the time in `Retry-After`, send fewer or smaller requests at a time, read responses promptly, or raise the setting that the message names.',
  INVALID_MEDIA: 'Convert the file to WAV; the message says what is wrong with this one.',
  IDEMPOTENCY_KEY_REUSED: 'Use a new key for a new request, or send the first request again unchanged.',
  PIPELINE_NOT_FOUND: 'Check the name against `GET /v1/pipelines`, and `MILLRACE_PIPELINES` at the gateway.',
  RUN_NOT_FOUND: 'Check the id and the `Millrace-Tenant` header; runs past Temporal’s retention are deleted.',
  ARTIFACT_NOT_FOUND: 'Check the name or address and the tenant; while the run is in progress, retry later.',
  ROUTE_NOT_FOUND: 'Check the path against [http.md](http.md#routes).',
  METHOD_NOT_ALLOWED: 'Use a method of the response’s `Allow` header.',
  RANGE_NOT_SATISFIABLE: 'Request a range within the size in `Content-Range`.',
  REQUEST_TIMEOUT: 'Send again over a faster connection, or raise `MILLRACE_UPLOAD_TIMEOUT_MS`.',
  REQUEST_ABORTED: 'Nothing, unless the client’s own timeout is too short; a run that was started continues.',
  INVALID_PIPELINE: 'Correct the definition where the message points; no pipeline is served until then.',
  INVALID_SETTING: 'Correct the variable or file that the message names; see [settings.md](settings.md).',
  UNKNOWN_PLAN_VERSION: 'Start a worker of the release that started the run.',
  MODEL_NOT_CONFIGURED: 'Add the model to the file of `MILLRACE_MODELS`, the same at gateway and worker.',
  BACKEND_UNAVAILABLE:
    'Stages wait for the server. If it persists, check that it runs, and its address in `MILLRACE_MODELS`.',
  LENGTH: 'Raise `maxTokens`, or limit the reasoning (`thinkingTokens`, `reasoningEffort`).',
  BACKEND_OVERLOADED: 'If it persists, add an endpoint to the pool or send less at once.',
  BACKEND_RATE_LIMITED:
    'Retry after the time in `Retry-After`; give the pool a `rateLimit` below the server’s own, or raise the server’s.',
  CONTEXT_TOO_LONG:
    'Send a shorter conversation or ask for a shorter reply (`maxTokens`), or serve the model with a longer context. A `chat` stage shortens it with `onOverflow`; an agent shortens its conversation by itself, once; see `context` of `agent`.',
  BACKEND_TIMEOUT: 'If it persists, check the server’s load; give the stage more attempts or time.',
  BACKEND_BROKEN:
    'Nothing at first: a worker repairs models on Triton and MLServer. If it persists, read the server’s log.',
  BACKEND_ERROR: 'If it persists, read the server’s log for this call.',
  BACKEND_REJECTED:
    'Read the message: the input, the stage’s options or the model’s tensors do not match what the server accepts.',
  BACKEND_UNAUTHORIZED: 'Correct the pool’s key (`apiKey`), `LLM_API_KEY`, or the server’s access rules.',
  MODEL_NOT_FOUND: 'If it persists, load the model or correct its name in `MILLRACE_MODELS` or `LLM_MODEL`.',
  MODEL_NOT_LOADED:
    'Read the server’s message and log: usually it lacks memory, or the model’s files are not valid. Loading is tried again after 10 s, later after up to 5 minutes.',
  INVALID_OUTPUT: 'If it persists, compare what the model or function returns with the stage’s output schema.',
  CHECK_TOO_COSTLY:
    'Simplify the schema: fewer alternatives of one value, simpler patterns; or request a shorter reply.',
  CODE_FAILED:
    'Read the message; if a function throws an error with a `code` of this table, that code determines the retry.',
  CODE_NOT_FOUND:
    'Start a worker of the build or the version that the message names, or give the newer function `compatible`.',
  ACTIVITY_FAILED:
    'Read the failure in Temporal’s UI, which has its cause and stack; its worker decides what is retried. See [foreign-temporal.md](foreign-temporal.md#failures).',
  KIND_NOT_FOUND:
    'Start a worker whose pipelines use the kind that the message names, or whose module exports its `defineKind`.',
  ARTIFACT_CORRUPT: 'Store the file again, and check the disk that holds the artifacts.',
  STORE_UNAVAILABLE:
    'Check space, rights and mount of the folder `artifacts` in `MILLRACE_HOME`; for a vector index, Redis and `REDIS_URL`.',
  STORE_FULL:
    'Free or add the disk space or memory that the message names; `millrace artifacts prune` removes old media.',
  QUOTA_EXCEEDED: 'Remove what the tenant no longer needs, or raise the quota that the message names.',
  OUTPUT_BUDGET_EXCEEDED: 'Give the stage a shorter input, or raise `MILLRACE_MAX_STAGE_MEDIA_BYTES` at the workers.',
  STATE_STORE_FULL:
    'Retry after the time in `Retry-After`; if it persists, raise `maxmemory` of the Redis of `REDIS_URL`, or keep records and sessions shorter.',
  INDEX_NOT_FOUND: 'Fill the index with an `upsert` stage or `millrace index put`, and check its name and the tenant.',
  INDEX_MISMATCH: 'Use the embedder that the message names, or put the passages into an index of another name.',
  INDEX_UNSUPPORTED: 'Use Redis 8 or later, and let its user call VADD, VSIM and VREM.',
  CAPABILITY_MISSING:
    'Name a pool whose server supports it, or remove the option; `millrace validate` reports this before a run.',
  FIRST_CHUNK_TIMEOUT: 'Check the server’s queue and load; give `timeout.firstChunk` more time if that is normal.',
  IDLE_TIMEOUT: 'Check why the server stopped sending; give `timeout.idle` more time if that is normal.',
  QUEUE_TIMEOUT: 'Add endpoints or concurrency to the pool, lower the load, or give `timeout.queue` more time.',
  RATE_LIMITED:
    'Send less, retry after the time in `Retry-After`, or raise what the message names: `rateLimit` of the pool in the models file, `MILLRACE_TENANT_RATE`, the key’s `limits`.',
  NOT_CACHED: 'Give the run a longer deadline, or the stage a rung below `cached`.',
  CONVERSION_UNAVAILABLE:
    'Install ffmpeg on the worker’s machine, or for speech of the OpenAI door on the gateway’s (`MILLRACE_FFMPEG`), or use WAV.',
  LIMIT_REACHED:
    "Give `repeat` more rounds, or the agent more turns or budget; use a condition that can be met; or set `onLimit: 'accept'` (`'answer'` of an agent).",
  INVALID_TOOL_CALL:
    'Describe the tool and its arguments better, offer fewer tools, or use a larger model; the message says what was wrong.',
  GUARDRAIL_STOPPED:
    'The message names the guardrail and its reason. Change the request, or the guardrail if it is too strict.',
  TOOL_FAILED: 'Read the message, which comes from the tool. The model gets it too, unless `onFailure` is `fail`.',
  TOOLS_REFUSED:
    'Name the tools that the agent needs in `only` of `mcpTools`; if one of these is refused, correct its schema at the server.',
  TOOL_SERVER_UNAVAILABLE: 'Start the server by hand with the command or URL of the file `MILLRACE_MCP_SERVERS`.',
  TOOL_SERVER_NOT_CONFIGURED: 'Add the server to the file `MILLRACE_MCP_SERVERS` of every worker.',
  SANDBOX_NOT_CONFIGURED:
    'Add the sandbox, with the language that the message names, to the file `MILLRACE_SANDBOXES` of every worker.',
  SANDBOX_UNAVAILABLE:
    'Send a program by hand to the `url` of the sandbox in the file `MILLRACE_SANDBOXES`; for the engine `quickjs` look at the worker’s memory and its log.',
  SANDBOX_FAILED:
    'Compare the service with the contract in sandboxes.md: its status, its headers, the shape and size of its answer.',
  JOURNAL_UNAVAILABLE: 'Nothing: the stages run on their queues. Check Redis if inline stages have become slow.',
  WORKER_LOST:
    'Read the logs of both workers at that time: memory, a loop that never ends, a native crash. Send the input again once the stage can handle it.',
  STREAM_CUT:
    'Use a server that can continue its own text (vLLM, llama.cpp); set `onCut` of the stage to accept a shortened answer (`end`), a new answer if nothing of it was used (`restart`) or another voice (`fallback`); or pass `answer.text`.',
  STREAM_FULL: 'Make the reading stage faster, or give the state store more memory.',
  STREAM_LOST: 'Give the state store an append-only file (`appendonly yes`) and start the run again.',
  STREAM_TAKEN: 'Nothing: the other attempt continues, or the next one does.',
  RESULT_TOO_LARGE: 'Return less from the stage, or put large data into an artifact.',
  STAGE_TIMEOUT: 'Give the stage more time (`timeout.attempt`, `timeout.total`), or check why it or its worker hangs.',
  DEADLINE_EXCEEDED: 'Give the pipeline a longer `deadline`, or check in the stage table which stages took the time.',
  RUN_CANCELLED: 'Nothing: somebody cancelled the run.',
  RUN_ENDED: 'Nothing: the run is over; `GET /v1/runs/{id}` shows how it ended.',
  RUN_NOT_ENDED:
    'Wait until the run has ended; its webhooks are sent then in any case. One that has ended lately, and started many others, is erased five minutes later.',
  NO_WEBHOOK: 'Start the run with `?webhook=`, or configure an endpoint for the tenant (`MILLRACE_WEBHOOKS`).',
  WEBHOOK_REFUSED:
    'Name an https URL of a host on the public internet; `MILLRACE_WEBHOOK_PRIVATE_TARGETS=allow` permits others.',
  WEBHOOK_UNDELIVERED:
    'Fix the receiver that the message names, then send again: `POST /v1/runs/{id}/webhooks/replay`.',
  NOT_RESUMABLE:
    'Start a new run; only a run that failed, was cancelled or ran out of time, and has not been erased, can be resumed.',
  RECORD_INCOMPLETE:
    'The message names the calls that would be repeated. If repeating them does no harm, send `{"repeat": true}`; otherwise start a new run.',
  RECORD_GONE:
    'Resume it if the artifact store was away; else check what the run has done, and start a new one. `MILLRACE_RECORD_KEPT_MS` keeps records longer.',
  RESUME_DIVERGED: 'Check what the run has done, and start a new one for the rest.',
  NOT_WAITING: 'Read the run again (`GET /v1/runs/{id}`): `waiting` lists the open waits and their nonces.',
  ALREADY_DECIDED: 'Nothing: another decision came first, or the time had run out. The earlier decision stands.',
  CHILD_CANCELLED: 'Nothing: somebody cancelled the child run in Temporal; the error names it.',
  RUN_FAILED:
    'Open the run in the Temporal UI (`links.ui`): it was terminated from outside or failed without a known code.',
  INVALID_INVENTORY: 'Correct the lines of `cluster.yaml` that the message names; see [placement.md](placement.md).',
  INVALID_PROFILE: 'Correct the lines that the message names, or profile the stage again.',
  INVALID_TRACE: 'Correct the lines that the message names: `timestamp_s[,size…]`, sorted by time.',
  INVALID_PLACEMENT: 'Run `millrace place` again; do not edit a placement by hand.',
  INVALID_POLICY: 'Correct the lines that the message names; see [auto.md](placement/auto.md).',
  PLACEMENT_CHANGED:
    'Decide which placement is to serve, apply it, remove the file `….auto.hold` beside it, and start `millrace replan` again.',
  PLACEMENT_LOCKED: 'End the process that the message names, or leave the placement to it.',
  PROFILE_STALE: 'Profile the model again with `millrace profile`, or allow older profiles with `--max-profile-age`.',
  PROFILE_UNMEASURED: 'Follow the message, e.g. keep other callers away during the measurement.',
  PROFILE_MISSING: 'Profile the model on a device kind that the inventory has.',
  MODEL_FITS_NOWHERE: 'Add a device with enough memory, or a profile of a smaller or a tensor-parallel variant.',
  SLO_UNREACHABLE: 'Allow more time than the message names, or profile faster variants or devices.',
  PLACEMENT_INFEASIBLE: 'Choose one of the options that the message names: a lower rate, more time, or more devices.',
  ORCHESTRATOR_UNAVAILABLE:
    'Send again with the same `Idempotency-Key`; if it persists, run `millrace doctor`; see [temporal.md](temporal.md).',
  STACK_UNSUPPORTED: 'Configure your own servers with the settings that the message names, or use another machine.',
  STACK_INSTALL_FAILED: 'Read the message and check the network and the disk, then run `millrace up` again.',
  STACK_PORT_IN_USE: 'End the process that holds the port, or set `MILLRACE_PORT_BASE`.',
  STACK_START_FAILED: 'Read the log that the message names.',
  STACK_SETTINGS_CHANGED: 'Run `millrace down`, then `millrace up` with the new settings.',
  GATEWAY_UNAVAILABLE: 'Run `millrace up`, or correct `MILLRACE_GATEWAY_URL`.',
  INTERNAL: 'Find the request id or the run in the log and report it: this is a bug.',
};
