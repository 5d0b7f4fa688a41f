import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Call } from '../../../../../activities/connectors/connector.js';
import type { ErrorCode } from '../../../../../pipelines/errors.js';
import { invoke } from '../../../../contract/connector-contract.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { loopbackServer } from '../loopback-server.js';

/**
 * An error answer of a serving system: recorded from a server, or written after its documentation or source on that date,
 * where the wording may differ.
 */
interface ErrorAnswer {
  readonly preset: string;
  readonly source: string;
  readonly date: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly code: ErrorCode;
  readonly unsent?: true;
  readonly retryAfterMs?: number;
  /** Part of the error's message. */
  readonly message?: string;
}

const ANSWERS = JSON.parse(
  readFileSync(new URL('../../../../fixtures/servers/errors.json', import.meta.url), 'utf8'),
) as ErrorAnswer[];

const server = loopbackServer();

/** What the options of a preset must have. Buckets are at the server too, which answers the first request to them. */
const optionsOf = (preset: string): Readonly<Record<string, unknown>> => {
  const region = 'eu-central-1';
  switch (preset) {
    case 'sagemaker':
      return { values: { region } };
    case 'sagemaker-async':
      return { values: { region }, objects: { inputs: 's3://jobs/in', url: server.url } };
    case 'vertex':
      return { values: { project: 'p', location: 'europe-west4' } };
    default:
      return {};
  }
};

describe('error answers of serving systems', () => {
  it.each(
    ANSWERS.map((each) => [each.preset, each.status, JSON.stringify(each.body ?? '').slice(0, 80), each] as const),
  )('%s: %i %s', async (preset, status, _, { body = '', headers = {}, code, unsent, retryAfterMs, message }) => {
    const json = typeof body === 'string' ? undefined : JSON.stringify(body);
    const type = json === undefined ? 'text/plain' : 'application/json';
    server.gives(status, json ?? (body as string), { 'content-type': type, ...headers });
    const kind = preset === 'tgi' ? 'chat' : 'classify';
    const call: Call = {
      kind,
      model: 'model',
      with: kind === 'chat' ? {} : { labels: ['a'] },
      input: kind === 'chat' ? { prompt: 'p', history: [] } : { text: 't' },
    };
    const backend = presetConnector(preset, optionsOf(preset)).connect(server.url);
    const error: unknown = await invoke(backend, call).catch((thrown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message ?? `HTTP ${status}`) });
    const { details } = error as { details: object };
    expect(details).toEqual({
      endpoint: server.url,
      ...(unsent && { unsent }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  });

  it('name their source and its date', () => {
    for (const { source, date } of ANSWERS) {
      expect(source).toMatch(/^(recorded from|written after) ./);
      expect(date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    }
  });
});
