import { createWriteStream, openAsBlob } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageRecord } from '../../pipelines/plan/index.js';

/** A run as the HTTP trigger shows it. */
export interface RunDocument {
  readonly id: string;
  readonly pipeline: string;
  readonly status: 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly output?: JsonObject;
  readonly stages?: readonly StageRecord[];
  readonly error?: { readonly code: string; readonly message: string };
  readonly links: { readonly self: string; readonly ui: string };
}

export interface PipelineDocument {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly input: JsonObject;
  readonly output: JsonObject;
}

/** An answer of the gateway that is no success. */
export class GatewayError extends Error {
  constructor(
    readonly status: number,
    readonly problem: {
      readonly code?: string;
      readonly detail?: string;
      readonly errors?: readonly { field: string; message: string }[];
      readonly run?: { id: string };
    },
  ) {
    super(problem.detail ?? `the gateway answered ${status}`);
  }
}

/** Pause between two looks at a run that goes on. */
const POLL_MS = 250;

/** The HTTP trigger as the command line uses it. */
export class GatewayClient {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  constructor(base: string, { tenant, key }: { tenant?: string | undefined; key?: string | undefined } = {}) {
    this.#base = base;
    this.#headers = {
      ...(tenant !== undefined && { 'millrace-tenant': tenant }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    };
  }

  async pipelines(): Promise<readonly PipelineDocument[]> {
    const { pipelines } = (await this.#json(await this.#fetch('/v1/pipelines'))) as { pipelines: PipelineDocument[] };
    return pipelines;
  }

  /** Starts a run; media fields are files on this machine. */
  async start(
    pipeline: string,
    input: JsonObject,
    media: Readonly<Record<string, string>> = {},
    { outputs, priority }: { readonly outputs?: string; readonly priority?: string } = {},
  ): Promise<RunDocument> {
    const query = new URLSearchParams({ ...(outputs && { outputs }), ...(priority && { priority }) });
    const init: RequestInit = { method: 'POST' };
    if (Object.keys(media).length === 0) {
      init.body = JSON.stringify(input);
      init.headers = { 'content-type': 'application/json' };
    } else {
      const form = new FormData();
      if (Object.keys(input).length > 0) form.set('input', JSON.stringify(input));
      for (const [field, file] of Object.entries(media)) form.set(field, await openAsBlob(file), path.basename(file));
      init.body = form;
    }
    const route = `/v1/pipelines/${encodeURIComponent(pipeline)}/runs${query.size > 0 ? `?${query}` : ''}`;
    return (await this.#json(await this.#fetch(route, init))) as RunDocument;
  }

  async run(id: string): Promise<RunDocument> {
    return (await this.#json(await this.#fetch(`/v1/runs/${encodeURIComponent(id)}`))) as RunDocument;
  }

  /** Looks at a run until it has ended. `onChange` sees each look. */
  async watch(id: string, onChange: (run: RunDocument) => void = () => undefined): Promise<RunDocument> {
    for (;;) {
      const run = await this.run(id);
      onChange(run);
      if (run.status !== 'running') return run;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Saves a media field of a run's output. */
  async download(id: string, name: string, file: string): Promise<void> {
    const response = await this.#fetch(`/v1/runs/${encodeURIComponent(id)}/artifacts/${encodeURIComponent(name)}`);
    if (!response.ok || !response.body) await this.#json(response);
    await pipe(Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(file));
  }

  async #fetch(route: string, init: RequestInit = {}): Promise<Response> {
    try {
      return await fetch(this.#base + route, { ...init, headers: { ...this.#headers, ...(init.headers as object) } });
    } catch (error) {
      const cause = error instanceof Error && error.cause ? error.cause : error;
      throw new MillraceError(
        'GATEWAY_UNAVAILABLE',
        `no gateway answers at ${this.#base} (${messageOf(cause)}); start one with "millrace up"`,
      );
    }
  }

  async #json(response: Response): Promise<unknown> {
    const body: unknown = await response.json().catch(() => ({}));
    if (!response.ok) throw new GatewayError(response.status, body as GatewayError['problem']);
    return body;
  }
}
