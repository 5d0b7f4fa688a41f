import type { Pipeline } from '../pipelines/definition/index.js';
import type { JsonObject } from '../pipelines/json.js';
import type { Priority } from '../pipelines/plan/index.js';
import type { PipelineDocument, RunDocument, RunPage, RunStatus, RunSummary } from '../pipelines/run/document.js';
import type { RunEvent } from '../pipelines/run/index.js';
import { ClientError, errorOf, failureOf, unreachable } from './error.js';
import { serverEvents } from './sse.js';
import { bodyOf, type Received, type Sent } from './values.js';

/** Longest wait that is asked for with a start, in seconds; the gateway cuts it to its own limit. */
const WAIT_S = 50;
/** Runs of a page where all are wanted: the most that there may be. */
const MOST_ROWS = 100;
/** Pauses between two tries to follow a run, in milliseconds: doubled from the first to the longest. */
const PAUSE = { firstMs: 250, longestMs: 5_000 };

/** A decision on what a run waits for. */
export interface DecisionBody {
  /** Of the wait. */
  readonly nonce: string;
  /** Path of what waits; needed only where the run has many child runs. */
  readonly stage?: string;
  /** Who decides, for people. */
  readonly by?: string;
}

export interface ClientOptions {
  /** Where the gateway is: `https://millrace.example`. In a browser, relative to the page where it is empty. */
  readonly baseUrl: string;
  /** An API key, where the gateway wants one. */
  readonly key?: string;
  /** The tenant, where the gateway goes without keys. */
  readonly tenant?: string;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface StartOptions {
  /** The same key and input again is the same run. Default: one of the client's own, so that it can try again. */
  readonly idempotencyKey?: string;
  readonly priority?: Priority;
  /** Fields of the output that are wanted; stages that only others need do not run. */
  readonly outputs?: readonly string[];
  /** URL of a receiver that is told of the run's end. */
  readonly webhook?: string;
  /** Ends the waiting, not the run. */
  readonly signal?: AbortSignal;
  /** How often a start is tried again that found no gateway, or one without Temporal. Default 2. */
  readonly retries?: number;
}

/** Which runs are listed. Absent: any. */
export interface RunFilters {
  /** The pipeline's name. */
  readonly pipeline?: string;
  readonly status?: RunStatus;
  /** Version of the plan. */
  readonly version?: string;
  /** Started then or later: ISO 8601, UTC where it names no offset. */
  readonly from?: string;
  /** Started before. */
  readonly to?: string;
  /** What the id begins with. */
  readonly id?: string;
}

/** A run whose output has the type of its pipeline. */
export type Run<O = JsonObject> = Omit<RunDocument, 'output'> & { readonly output?: Received<O> };
/** A run that has succeeded. */
export type SucceededRun<O = JsonObject> = Run<O> & { readonly status: 'succeeded'; readonly output: Received<O> };

/** What a run does, and at last the run itself. */
export type ClientEvent<O = JsonObject> = RunEvent | { readonly type: 'run'; readonly run: Run<O> };

/** A pipeline: its definition, which gives the types of input and output, or its name. */
type Of<I, O> = Pipeline<I, O>;

/**
 * A pipeline by its name with the types of its definition, of which only the type is imported:
 * `named<typeof voiceAssistant>('voice-assistant')`.
 */
export const named = <P extends { readonly name: string }>(name: string): P => ({ name }) as P;

/** The HTTP trigger, typed by pipelines. It needs nothing but `fetch`: Node 20.19 and browsers. */
export class MillraceClient {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof fetch;

  constructor({ baseUrl, key, tenant, fetch: own }: ClientOptions) {
    this.#base = baseUrl.replace(/\/+$/, '');
    this.#headers = {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(tenant !== undefined && { 'millrace-tenant': tenant }),
    };
    this.#fetch = own ?? ((...args) => fetch(...args));
  }

  async pipelines(): Promise<readonly PipelineDocument[]> {
    return (await this.#json<{ pipelines: readonly PipelineDocument[] }>('/v1/pipelines')).pipelines;
  }

  /** Starts a run and waits for its end. Throws a `ClientError` with the run when it does not succeed. */
  run<I, O>(pipeline: Of<I, O>, input: Sent<NoInfer<I>>, options?: StartOptions): Promise<SucceededRun<O>>;
  run(pipeline: string, input: object, options?: StartOptions): Promise<SucceededRun>;
  async run(pipeline: string | { name: string }, input: object, options: StartOptions = {}): Promise<SucceededRun> {
    const started = await this.#start(pipeline, input, options, { prefer: `wait=${WAIT_S}` });
    const run = started.status === 'running' ? await this.wait(started.id, options) : started;
    if (run.status === 'succeeded') return run as unknown as SucceededRun;
    throw failureOf(run);
  }

  /** Starts a run and comes back at once. */
  start<I, O>(pipeline: Of<I, O>, input: Sent<NoInfer<I>>, options?: StartOptions): Promise<Run<O>>;
  start(pipeline: string, input: object, options?: StartOptions): Promise<Run>;
  async start(pipeline: string | { name: string }, input: object, options: StartOptions = {}): Promise<Run> {
    return (await this.#start(pipeline, input, options)) as unknown as Run;
  }

  /**
   * Starts the run that goes on where a run has failed, was cancelled or has run out of time; asked again it is the same run.
   * `repeat`: steps that have ended may happen again where nothing is kept of them.
   */
  resume(id: string, options: { readonly repeat?: boolean; readonly signal?: AbortSignal } = {}): Promise<RunDocument> {
    const { repeat = false, signal } = options;
    return this.#json(`${runPath(id)}/resume`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ repeat }),
      ...(signal && { signal }),
    });
  }

  /** A run as it is now. */
  get(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<RunDocument> {
    return this.#json(runPath(id), { ...(signal && { signal }) });
  }

  /** A page of the list of runs, of at most `limit` (1 to 100, default 20), or of the one behind it: `cursor` is its `nextCursor`. */
  listRuns(
    filters: RunFilters & { readonly limit?: number; readonly cursor?: string } = {},
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<RunPage> {
    const given = Object.entries(filters).filter(([, value]) => value !== undefined);
    const query = new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)])));
    return this.#json(`/v1/runs${query.size > 0 ? `?${query}` : ''}`, { ...(signal && { signal }) });
  }

  /**
   * All runs, page by page as they are taken: those that go on, the latest start first, then those that have ended, the latest end
   * first. One that ends meanwhile may come twice. A page that the gateway has no room for is asked for again.
   */
  async *runs(filters: RunFilters = {}, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<RunSummary> {
    let cursor: string | undefined;
    do {
      const page = await this.#whenThereIsRoom(
        () => this.listRuns({ ...filters, limit: MOST_ROWS, ...(cursor !== undefined && { cursor }) }, options),
        options.signal,
      );
      yield* page.runs;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  /** The run when it has ended, however it has. */
  async wait(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<RunDocument> {
    for await (const event of this.events(id, { ...(signal && { signal }) })) {
      if (event.type === 'run') return event.run as unknown as RunDocument;
    }
    return await this.get(id);
  }

  /**
   * What a run does, as it does it, from its beginning or from behind the event `after`; the last is the run. A connection
   * that is lost is made again, and nothing is missed or comes twice. Ends without the run when `signal` aborts.
   */
  async *events<O = JsonObject>(
    id: string,
    { after, signal }: { readonly after?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<ClientEvent<O> & { readonly id: string }> {
    let last = after ?? '';
    let pauseMs = PAUSE.firstMs;
    while (!signal?.aborted) {
      let asked: number | undefined;
      try {
        const headers = { accept: 'text/event-stream', ...(last !== '' && { 'last-event-id': last }) };
        const response = await this.#request(`${runPath(id)}/events`, { headers, ...(signal && { signal }) });
        if (response.status === 204 || !response.body) return;
        for await (const event of serverEvents(response.body)) {
          if (event.type === 'error') break; // the run goes on, and so does this
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
        asked = error instanceof ClientError ? error.retryAfterMs : undefined;
      }
      await pause(asked ?? pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, PAUSE.longestMs);
    }
  }

  cancel(id: string): Promise<RunDocument> {
    return this.#json(`${runPath(id)}/cancel`, { method: 'POST' });
  }

  /**
   * Decides what a stage of the run waits for. `nonce` is that of the wait, as `waiting` of the run or the event
   * `stage.waiting` shows it. Where the answer does not come, the same call again is no second decision.
   */
  approve(id: string, decision: DecisionBody): Promise<RunDocument> {
    return this.#decide(id, 'approve', decision);
  }

  reject(id: string, decision: DecisionBody): Promise<RunDocument> {
    return this.#decide(id, 'reject', decision);
  }

  /** The bytes of an artifact of a run, as the answer that has them: `(await client.artifact(run.output.speech)).blob()`. */
  artifact({ href }: { readonly href: string }, init: RequestInit = {}): Promise<Response> {
    return this.#request(href, init);
  }

  #decide(id: string, what: string, decision: object): Promise<RunDocument> {
    const headers = { 'content-type': 'application/json' };
    return this.#json(`${runPath(id)}/${what}`, { method: 'POST', headers, body: JSON.stringify(decision) });
  }

  async #start(
    pipeline: string | { name: string },
    input: object,
    { idempotencyKey = newKey(), priority, outputs, webhook, signal, retries = 2 }: StartOptions,
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
    for (let left = retries, pauseMs = PAUSE.firstMs; ; left--, pauseMs *= 2) {
      try {
        return await this.#json(route, init);
      } catch (error) {
        // The key makes it safe: what was started already is not started again.
        if (!(error instanceof ClientError) || error.run || left <= 0 || !isUnavailable(error)) throw error;
        await pause(error.retryAfterMs ?? pauseMs, signal);
      }
    }
  }

  async #whenThereIsRoom<T>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let pauseMs = PAUSE.firstMs; ; pauseMs = Math.min(2 * pauseMs, PAUSE.longestMs)) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof ClientError) || error.status !== 429 || signal?.aborted) throw error;
        await pause(error.retryAfterMs ?? pauseMs, signal);
      }
    }
  }

  async #json<T>(route: string, init: RequestInit = {}): Promise<T> {
    return (await (await this.#request(route, init)).json()) as T;
  }

  /** Throws a `ClientError` for what is no success. */
  async #request(route: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      const headers = { ...this.#headers, ...(init.headers as Record<string, string>) };
      response = await this.#fetch(this.#base + route, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw unreachable(this.#base, error);
    }
    if (response.ok) return response;
    throw await errorOf(response);
  }
}

const runPath = (id: string): string => `/v1/runs/${encodeURIComponent(id)}`;

/** Worth another try for who follows a run: the gateway is away, or has too much to do. */
const isPassing = ({ status }: ClientError): boolean => status === 0 || status === 429 || status >= 500;
/** Nothing was started, or nobody knows. */
const isUnavailable = ({ code }: ClientError): boolean =>
  code === 'GATEWAY_UNAVAILABLE' || code === 'ORCHESTRATOR_UNAVAILABLE';

/** Unlike `randomUUID`, this is there in pages that are not served by HTTPS. */
const newKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Waits, or until `signal` aborts. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
  });
}
