import type { Pipeline } from '../pipelines/definition/index.js';
import type { JsonObject } from '../pipelines/json.js';
import type { ApprovalPage, PipelineDocument, RunDocument, RunPage, RunSummary } from '../pipelines/run/document.js';
import type { RunEvent } from '../pipelines/run/index.js';
import { ClientError, failureOf } from './error.js';
import { LiveRun } from './live-run.js';
import type { ApprovalBody, ClientOptions, DecisionBody, RunFilters, StartOptions } from './options.js';
import { Requests } from './requests.js';
import { resumedBytes } from './resumed-bytes.js';
import { isPassing, PAUSE, pause, whenThereIsRoom, whileUnavailable } from './retries.js';
import type { AudioOptions, ClientEvent, Run, SucceededRun } from './runs.js';
import { serverEvents } from './sse.js';
import { bodyOf, type Sent } from './values.js';

/** Longest wait requested with a start, in seconds; the gateway reduces it to its own limit. */
const WAIT_S = 50;
/** Page size for listing all runs: the maximum. */
const MOST_ROWS = 100;
/** Retries of a start, unless its options say otherwise, and of an artifact. */
const RETRIES = 2;

/** A pipeline: its definition, with the types of input and output, or its name. */
type Of<I, O> = Pipeline<I, O>;

/**
 * Refers to a pipeline by name, with the types of a definition that is imported as a type only: `named<typeof
 * voiceAssistant>('voice-assistant')`.
 */
export const named = <P extends { readonly name: string }>(name: string): P => ({ name }) as P;

/** Typed client of the REST API. It needs only `fetch`: Node 20.19 and browsers. */
export class MillraceClient {
  readonly #gateway: Requests;

  constructor(options: ClientOptions) {
    this.#gateway = new Requests(options);
  }

  async pipelines(): Promise<readonly PipelineDocument[]> {
    return (await this.#gateway.json<{ pipelines: readonly PipelineDocument[] }>('/v1/pipelines')).pipelines;
  }

  /** Starts a run and waits until it has ended. Throws a `ClientError` with the run unless it succeeds. */
  run<I, O>(pipeline: Of<I, O>, input: Sent<NoInfer<I>>, options?: StartOptions): Promise<SucceededRun<O>>;
  run(pipeline: string, input: object, options?: StartOptions): Promise<SucceededRun>;
  async run(pipeline: string | { name: string }, input: object, options: StartOptions = {}): Promise<SucceededRun> {
    const started = await this.#start(pipeline, input, options, { prefer: `wait=${WAIT_S}` });
    const run = started.status === 'running' ? await this.wait(started.id, options) : started;
    if (run.status === 'succeeded') return run as unknown as SucceededRun;
    throw failureOf(run);
  }

  /** Starts a run and returns at once. */
  start<I, O>(pipeline: Of<I, O>, input: Sent<NoInfer<I>>, options?: StartOptions): Promise<Run<O>>;
  start(pipeline: string, input: object, options?: StartOptions): Promise<Run>;
  async start(pipeline: string | { name: string }, input: object, options: StartOptions = {}): Promise<Run> {
    return (await this.#start(pipeline, input, options)) as unknown as Run;
  }

  /**
   * Starts a run that resumes one that failed, was cancelled or timed out; repeated calls return the same run.
   * `repeat`: steps that had ended may be repeated if their results are not in the record.
   */
  resume(id: string, options: { readonly repeat?: boolean; readonly signal?: AbortSignal } = {}): Promise<RunDocument> {
    const { repeat = false, signal } = options;
    return this.#gateway.json(`${runPath(id)}/resume`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ repeat }),
      ...(signal && { signal }),
    });
  }

  /** The current state of a run. */
  get(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<RunDocument> {
    return this.#gateway.json(runPath(id), { ...(signal && { signal }) });
  }

  /** One page of runs, at most `limit` (1 to 100, default 20); `cursor` is the `nextCursor` of the previous page. */
  listRuns(
    filters: RunFilters & { readonly limit?: number; readonly cursor?: string } = {},
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<RunPage> {
    return this.#gateway.json(`/v1/runs${queryOf(filters)}`, { ...(signal && { signal }) });
  }

  /**
   * All runs, fetched page by page as they are consumed: running ones, latest start first, then ended ones, latest end first. A run
   * that ends meanwhile may occur twice. A page that the gateway rejects for lack of capacity is requested again.
   */
  async *runs(filters: RunFilters = {}, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<RunSummary> {
    let cursor: string | undefined;
    do {
      const page = await whenThereIsRoom(
        () => this.listRuns({ ...filters, limit: MOST_ROWS, ...(cursor !== undefined && { cursor }) }, options),
        options.signal,
      );
      yield* page.runs;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  /**
   * One page of the open waits of running runs, for at most `limit` runs (1 to 25, default 20). A page may be empty
   * although more follow.
   */
  listApprovals(
    filters: { readonly pipeline?: string; readonly limit?: number; readonly cursor?: string } = {},
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<ApprovalPage> {
    return this.#gateway.json(`/v1/approvals${queryOf(filters)}`, { ...(signal && { signal }) });
  }

  /** Waits until a run has ended, with any outcome. Rejects with the reason of `signal` if it aborts. */
  async wait(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<RunDocument> {
    const options = { ...(signal && { signal }) };
    for await (const event of this.events(id, options)) {
      if (event.type === 'run') return event.run as unknown as RunDocument;
    }
    signal?.throwIfAborted();
    return await this.get(id, options);
  }

  /**
   * Yields the events of a run as they happen, from the start or after the event `after`; the last one is the run. A
   * lost connection is reopened without missing or repeating events. Ends without the run if `signal` aborts.
   */
  async *events<O = JsonObject>(
    id: string,
    { after, signal }: { readonly after?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<ClientEvent<O> & { readonly id: string }> {
    let last = after ?? '';
    let pauseMs = PAUSE.firstMs;
    while (!signal?.aborted) {
      let requestedMs: number | undefined;
      try {
        const headers = { accept: 'text/event-stream', ...(last !== '' && { 'last-event-id': last }) };
        const response = await this.#gateway.send(`${runPath(id)}/events`, { headers, ...(signal && { signal }) });
        if (response.status === 204 || !response.body) return;
        for await (const event of serverEvents(response.body)) {
          if (event.type === 'error') break; // the run continues: reconnect
          last = event.id;
          pauseMs = PAUSE.firstMs;
          const data = JSON.parse(event.data) as RunEvent | Run<O>;
          if (event.type === 'run') {
            yield { type: 'run', run: data as Run<O>, id: event.id };
            return;
          }
          yield { ...(data as RunEvent), id: event.id };
        }
      } catch (error) {
        if (signal?.aborted) return;
        if (error instanceof ClientError && !isPassing(error)) throw error;
        requestedMs = error instanceof ClientError ? error.retryAfterMs : undefined;
      }
      await pause(requestedMs ?? pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, PAUSE.longestMs);
    }
  }

  /**
   * Streams the audio in a field of a run's output while it is made, or after the run has ended. A lost connection is
   * reopened: no byte is missed or repeated. The stream fails with a `ClientError` if the run fails.
   */
  audio(id: string, field: string | (() => Promise<string>), options: AudioOptions = {}): ReadableStream<Uint8Array> {
    const { format } = options;
    let name: Promise<string> | undefined;
    const open = async (from: number, signal: AbortSignal): Promise<Response | undefined> => {
      name ??= typeof field === 'string' ? Promise.resolve(field) : field();
      const route = `${runPath(id)}/artifacts/${encodeURIComponent(await name)}${format ? `?format=${format}` : ''}`;
      for (let pauseMs = PAUSE.firstMs; ; pauseMs = Math.min(2 * pauseMs, PAUSE.longestMs)) {
        try {
          const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
          return await this.#gateway.send(route, { headers, signal });
        } catch (error) {
          if (error instanceof ClientError && error.code === 'RANGE_NOT_SATISFIABLE') return undefined;
          if (signal.aborted || !(error instanceof ClientError) || !isPassing(error)) throw error;
          await pause(error.retryAfterMs ?? pauseMs, signal);
          signal.throwIfAborted();
        }
      }
    };
    const before = (again: number, signal: AbortSignal) =>
      pause(Math.min(PAUSE.firstMs * 2 ** again, PAUSE.longestMs), signal);
    return resumedBytes(open, before, options.signal);
  }

  /** Starts a run and follows its events, its audio and its result. `signal` ends all of these. */
  live<I, O>(pipeline: Of<I, O>, input: Sent<NoInfer<I>>, options?: StartOptions): Promise<LiveRun<O>>;
  live(pipeline: string, input: object, options?: StartOptions): Promise<LiveRun<JsonObject>>;
  async live(pipeline: string | { name: string }, input: object, options: StartOptions = {}) {
    const { id } = await this.#start(pipeline, input, options);
    return new LiveRun(this, id, typeof pipeline === 'string' ? pipeline : pipeline.name, options.signal);
  }

  cancel(id: string): Promise<RunDocument> {
    return this.#gateway.json(`${runPath(id)}/cancel`, { method: 'POST' });
  }

  /**
   * Approves what a stage of the run waits for. `nonce` identifies the wait: from `waiting` of the run or from the
   * event `stage.waiting`. If the response is lost, repeat the call: it counts once. Throws a `ClientError` with
   * `NOT_WAITING` or `ALREADY_DECIDED`.
   */
  approve(id: string, decision: ApprovalBody): Promise<RunDocument> {
    return this.#decide(id, 'approve', decision);
  }

  reject(id: string, decision: DecisionBody): Promise<RunDocument> {
    return this.#decide(id, 'reject', decision);
  }

  /**
   * The response with the bytes of an artifact of a run: `(await client.artifact(run.output.speech)).blob()`. Retried
   * while Temporal has not recorded the end of the run, since a caller may have the output before that.
   */
  artifact({ href }: { readonly href: string }, init: RequestInit = {}): Promise<Response> {
    return whileUnavailable(RETRIES, () => this.#gateway.send(servedAt(href), init), init.signal);
  }

  #decide(id: string, what: string, decision: object): Promise<RunDocument> {
    const headers = { 'content-type': 'application/json' };
    return this.#gateway.json(`${runPath(id)}/${what}`, { method: 'POST', headers, body: JSON.stringify(decision) });
  }

  async #start(
    pipeline: string | { name: string },
    input: object,
    { idempotencyKey = newKey(), priority, outputs, webhook, signal, retries = RETRIES }: StartOptions,
    more: Record<string, string> = {},
  ): Promise<RunDocument> {
    const name = typeof pipeline === 'string' ? pipeline : pipeline.name;
    const query = new URLSearchParams({
      ...(outputs && { outputs: outputs.join(',') }),
      ...(priority && { priority }),
      ...(webhook !== undefined && { webhook }),
    });
    const { body, headers } = bodyOf(input);
    const all = { ...headers, ...more, 'idempotency-key': idempotencyKey };
    const init = { method: 'POST', body, headers: all, ...(signal && { signal }) };
    const route = `/v1/pipelines/${encodeURIComponent(name)}/runs${query.size > 0 ? `?${query}` : ''}`;
    // Safe because of the idempotency key: a run that was started is not started again.
    return await whileUnavailable(retries, () => this.#gateway.json<RunDocument>(route, init), signal);
  }
}

/** What an output says of its media may come from a model: `@elsewhere` behind the gateway's address would take the key to another host. */
function servedAt(href: string): string {
  if (href.startsWith('/v1/')) return href;
  throw new TypeError(`${JSON.stringify(href)} is not where a gateway serves an artifact`);
}

function queryOf(filters: object): string {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)])));
  return query.size > 0 ? `?${query}` : '';
}

const runPath = (id: string): string => `/v1/runs/${encodeURIComponent(id)}`;

/** Unlike `randomUUID`, available on pages that are not served over HTTPS. */
const newKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
