import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, Call } from '../../../../../activities/connectors/connector.js';
import { oipRestConnector } from '../../../../../activities/connectors/oip-rest/index.js';
import { openAiConnector } from '../../../../../activities/connectors/openai/index.js';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import { torchServeGrpcConnector } from '../../../../../activities/connectors/torchserve-grpc/index.js';
import { mapError } from '../../../../../activities/connectors/triton/errors.js';
import type { ErrorCode, MillraceError } from '../../../../../pipelines/errors.js';
import { invoke } from '../../../../contract/connector-contract.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { loopbackServer } from '../loopback-server.js';
import { type Failure, grpcFixture, TOKEN } from './torchserve-grpc-fixture.js';

/*
 * Error answers that test/servers/record-errors.mjs has recorded from real servers. Their codes were chosen by reading them:
 * what a server refuses is not repeated, whatever status it has for that.
 */

interface Answer {
  /** What was wrong with the request. */
  readonly asked: string;
  readonly code: ErrorCode;
  readonly unsent?: true;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** The status of gRPC, and its text. */
  readonly grpc?: number;
  readonly details?: string;
}

interface Recorded {
  /** Its name and release. */
  readonly server: string;
  /** A connector, or a preset of the connector `http`. */
  readonly connector: string;
  readonly date: string;
  readonly answers: readonly Answer[];
}

const FOLDER = new URL('../../../../fixtures/servers/recorded/', import.meta.url);
const ALL = readdirSync(FOLDER).map(
  (file) => [file, JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Recorded] as const,
);

const server = loopbackServer();

const CALLS: Readonly<Record<string, Pick<Call, 'kind' | 'with' | 'input'>>> = {
  'oip-rest': {
    kind: 'infer',
    with: { inputs: { X: null }, outputs: { Y: { dtype: 'FP32', shape: [-1] } } },
    input: { X: { dtype: 'FP32', shape: [1], data: [1] } },
  },
  openai: { kind: 'chat', with: {}, input: { prompt: 'p', history: [] } },
};
const CLASSIFY = { kind: 'classify', with: { labels: ['a'] }, input: { text: 't' } };

let failure: Failure = {};
const torchserve = await grpcFixture(() => failure);
afterAll(() => torchserve.close());

function connect(connector: string): Backend {
  if (connector === 'oip-rest') return oipRestConnector().connect(server.url);
  if (connector === 'openai') return openAiConnector().connect(`${server.url}/v1`);
  return presetConnector(connector).connect(server.url);
}

/** What a connector makes of an answer. */
async function errorOf(connector: string, answer: Answer): Promise<MillraceError> {
  if (connector === 'torchserve-grpc') {
    failure = { code: answer.grpc ?? 0, details: answer.details ?? '' };
    const grpc = torchServeGrpcConnector();
    const backend = grpc.connect(torchserve.address, TOKEN, optionsOf(grpc, { kind: 'classify' }, 'options'));
    return (await invoke(backend, { model: 'model', ...CLASSIFY }).catch((error: unknown) => error)) as MillraceError;
  }
  if (answer.grpc !== undefined) {
    const { grpc, details = '' } = answer;
    const about = { endpoint: 'gpu:8001', model: 'm', signal: new AbortController().signal };
    return mapError(Object.assign(new Error(`${grpc} ${details}`), { code: grpc, details }), about);
  }
  const { status = 0, headers = {}, body } = answer;
  server.gives(status, typeof body === 'string' ? body : JSON.stringify(body), headers);
  const call: Call = { model: 'model', ...(CALLS[connector] ?? CLASSIFY) };
  return (await invoke(connect(connector), call).catch((error: unknown) => error)) as MillraceError;
}

describe.each(ALL)('error answers of a server: %s', (_, { connector, server: release, date, answers }) => {
  it('were recorded from a release, on a day', () => {
    expect(release).toMatch(/\d/);
    expect(date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  });

  it.each(answers.map((each) => [each.asked, each.status ?? each.grpc, each.code, each] as const))(
    '%s: %i is %s',
    async (asked, _status, code, answer) => {
      const error = await errorOf(connector, answer);
      expect({ code: error.code, unsent: error.details.unsent }, `${asked}: ${error.message}`).toEqual({
        code,
        unsent: answer.unsent,
      });
    },
  );
});

it('are at least 120, of servers for HTTP and for gRPC', () => {
  const all = ALL.flatMap(([, { answers }]) => answers);
  expect(all.length).toBeGreaterThanOrEqual(120);
  expect(all.filter(({ grpc }) => grpc !== undefined).length).toBeGreaterThanOrEqual(20);
});
