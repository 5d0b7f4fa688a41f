import type { PipelineDocument, RunDocument } from '../pipelines/run/document.js';
import { failureOf } from './error.js';
import type { AudioOptions, ClientEvent, SucceededRun } from './runs.js';

/** The client that follows it. */
interface Following {
  events<O>(id: string, options: Signalled): AsyncGenerator<ClientEvent<O> & { readonly id: string }>;
  audio(id: string, field: string | (() => Promise<string>), options: AudioOptions): ReadableStream<Uint8Array>;
  wait(id: string, options: Signalled): Promise<RunDocument>;
  pipelines(): Promise<readonly PipelineDocument[]>;
}
interface Signalled {
  readonly signal?: AbortSignal;
}

/** A run that is being followed: iterate over it for its events. */
export class LiveRun<O> implements AsyncIterable<ClientEvent<O> & { readonly id: string }> {
  readonly id: string;
  readonly #client: Following;
  readonly #pipeline: string;
  readonly #signal: AbortSignal | undefined;

  constructor(client: Following, id: string, pipeline: string, signal: AbortSignal | undefined) {
    this.#client = client;
    this.id = id;
    this.#pipeline = pipeline;
    this.#signal = signal;
  }

  /** The run's events from the first one, as `MillraceClient.events`; each iteration opens a separate connection. */
  [Symbol.asyncIterator](): AsyncIterator<ClientEvent<O> & { readonly id: string }> {
    return this.#client.events<O>(this.id, { ...(this.#signal && { signal: this.#signal }) });
  }

  /**
   * The run's audio while it is made, as `MillraceClient.audio`.
   * @param options.field field of the output. Default: the only one with audio
   */
  audio({ field, ...options }: AudioOptions & { readonly field?: string } = {}): ReadableStream<Uint8Array> {
    const all = { ...(this.#signal && { signal: this.#signal }), ...options };
    return this.#client.audio(this.id, field ?? (() => this.#audioField()), all);
  }

  /** Waits for the end. Throws a `ClientError` with the run unless it succeeds, and the reason of a signal that aborts. */
  async result(): Promise<SucceededRun<O>> {
    const run = await this.#client.wait(this.id, { ...(this.#signal && { signal: this.#signal }) });
    if (run.status === 'succeeded') return run as unknown as SucceededRun<O>;
    throw failureOf(run);
  }

  async #audioField(): Promise<string> {
    const known = (await this.#client.pipelines()).find(({ name }) => name === this.#pipeline);
    const fields = known ? audioFields(known) : [];
    if (fields.length === 1) return fields[0] as string;
    throw new TypeError(
      `name the field: the output of "${this.#pipeline}" has ${fields.length || 'no'} fields with audio`,
    );
  }
}

/** The fields of a pipeline's output with audio. */
export function audioFields({ output }: Pick<PipelineDocument, 'output'>): string[] {
  const { properties } = output as { readonly properties?: Readonly<Record<string, { readonly media?: unknown }>> };
  return Object.entries(properties ?? {}).flatMap(([name, { media }]) => (media === 'audio' ? [name] : []));
}
