import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { MOST_FILES } from '../../pipelines/stages/sandbox.js';
import { limited } from '../../runtime/limited.js';
import { chunksOf, opened, type Transport } from '../connectors/exchange.js';
import { describeFetch, shortened } from '../connectors/http-fault.js';
import { parseJson } from '../connectors/json-values.js';
import { retryAfterMs } from '../connectors/retry-after.js';
import type { ServiceConfig } from './config.js';
import type { Outcome, Program, Sandbox, SandboxLimits } from './sandbox.js';

/** Time that a service has beside that of the code: to start a machine, to read and send files. */
const BESIDE_MS = 15_000;
/** Of an answer beside its texts and files. */
const BESIDE_BYTES = 64 * 1024;
/** A UTF-16 unit in JSON: `\uffff`. Of base64, four bytes are three. */
const BYTES_PER_CHARACTER = 6;
const BASE64 = 4 / 3;

/** Statuses that say that the service may take the call later. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);

const answerSchema = z.object({
  stdout: z.string().default(''),
  stderr: z.string().default(''),
  result: z.json().optional(),
  files: z.array(z.object({ name: z.string(), content: z.base64() })).default([]),
  error: z.string().nullish(),
});

/**
 * A sandbox service of the operator's: one POST a call, as docs/reference/sandboxes.md describes it. The service isolates, and keeps
 * the limits that each call states; what it answers is bounded here.
 */
export class SandboxService implements Sandbox {
  readonly languages: readonly string[];
  readonly #name: string;
  readonly #config: Pick<ServiceConfig, 'url' | 'headers'>;
  readonly #transport: Transport;

  constructor(
    name: string,
    config: Pick<ServiceConfig, 'url' | 'headers' | 'languages'>,
    transport: Transport = (url, init) => fetch(url, init),
  ) {
    this.languages = config.languages;
    this.#name = name;
    this.#config = config;
    this.#transport = transport;
  }

  async run({ language, code, files, limits, tenant, idempotencyKey, signal }: Program): Promise<Outcome> {
    const { url, headers } = this.#config;
    const sent = {
      url,
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        accept: 'application/json',
        'idempotency-key': idempotencyKey,
      },
      body: JSON.stringify({
        language,
        code,
        files: files.map(({ name, bytes }) => ({ name, content: Buffer.from(bytes).toString('base64') })),
        limits,
        tenant,
      }),
    };
    try {
      return await limited(limits.timeMs + BESIDE_MS, signal, async (own) => {
        const response = await opened(this.#transport, sent, own);
        const body = await this.#bodyOf(response, limits, own);
        if (!response.ok) throw this.#refused(response, body);
        return this.#outcomeOf(body);
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof MillraceError)) throw this.#error('SANDBOX_UNAVAILABLE', shortened(describeFetch(error)));
      throw error.code === 'BACKEND_REJECTED' ? this.#error('SANDBOX_FAILED', error.message) : error;
    }
  }

  async close(): Promise<void> {
    // Each call has a request of its own, which ends with it.
  }

  async #bodyOf(response: Response, limits: SandboxLimits, signal: AbortSignal): Promise<Buffer> {
    const { outputCharacters, fileBytes } = limits;
    // The result and what is printed, on both outputs.
    const texts = 3 * outputCharacters * BYTES_PER_CHARACTER;
    const most = Math.ceil(BESIDE_BYTES + texts + fileBytes * BASE64);
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of chunksOf(response, signal)) {
      length += chunk.length;
      if (length > most) throw this.#error('SANDBOX_FAILED', `its answer has more than ${most} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  #outcomeOf(body: Buffer): Outcome {
    const json = parseJson(body, (problem) => this.#error('SANDBOX_FAILED', `its answer’s ${problem}`));
    const parsed = answerSchema.safeParse(json);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const where = issue?.path.join('.') || 'body';
      throw this.#error('SANDBOX_FAILED', `its answer does not fit: ${where}: ${issue?.message ?? 'is wrong'}`);
    }
    const { stdout, stderr, result, files, error } = parsed.data;
    if (files.length > MOST_FILES) throw this.#error('SANDBOX_FAILED', `its answer has more than ${MOST_FILES} files`);
    return {
      ...(result !== undefined && { result: result as Json }),
      stdout: [stdout, stderr].filter((text) => text !== '').join('\n'),
      files: files.map(({ name, content }) => ({ name, bytes: Buffer.from(content, 'base64') })),
      ...(typeof error === 'string' && { error }),
    };
  }

  /** What a redirect would lead to is not what the operator has named. */
  #refused({ status, headers }: Response, body: Buffer): MillraceError {
    const isLater = status >= 500 || LATER.has(status);
    const detail = shortened(body.toString('utf8').trim());
    const message = detail === '' ? `HTTP ${status}` : `HTTP ${status}: ${detail}`;
    return this.#error(isLater ? 'SANDBOX_UNAVAILABLE' : 'SANDBOX_FAILED', message, retryAfterMs(headers, Date.now()));
  }

  #error(code: 'SANDBOX_UNAVAILABLE' | 'SANDBOX_FAILED', why: string, wait?: number): MillraceError {
    const details = { ...(wait !== undefined && { retryAfterMs: wait }) };
    return new MillraceError(code, `sandbox "${this.#name}": ${why}`, details);
  }
}
