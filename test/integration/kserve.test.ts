import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Backend, Call } from '../../activities/connectors/connector.js';
import { oipRestConnector } from '../../activities/connectors/oip-rest/index.js';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { tensor } from '../../pipelines/media.js';
import type { RunPage } from '../../pipelines/run/document.js';
import { infer } from '../../pipelines/stages/index.js';
import { invoke } from '../contract/connector-contract.js';
import { mlserverVenv } from '../support/mlserver.js';
import { address, CallLog, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';

/* The KServe v2 door of the real gateway, by clients of Triton: NVIDIA's own and Millrace's. */

const rest = address('GATEWAY_URL');
const grpc = `127.0.0.1:${testSettings().MILLRACE_KSERVE_GRPC_PORT}`;
const question = path.resolve('deploy/local/audio/question.wav');
const script = fileURLToPath(new URL('../fixtures/kserve/triton_client.py', import.meta.url));
/** A run that is given up: its first step, begun again where its worker stood still, has been stopped, and nothing follows. */
const isStopped = async (log: CallLog) => {
  await until('the first step is stopped', () => log.count('first stopped') > 0);
  await until('its run is cancelled', async () => {
    const { runs = [] } = (await (await fetch(`${rest}/v1/runs?pipeline=unending`)).json()) as Partial<RunPage>;
    return runs.length > 0 && runs.every(({ status }) => status === 'cancelled');
  });
  expect(new Set(log.lines())).toEqual(new Set(['first starts', 'first stopped']));
};

interface Seen {
  readonly live: boolean;
  readonly ready: boolean;
  readonly modelReady: boolean;
  readonly inputs: readonly JsonObject[];
  readonly transcript: string;
  readonly reply?: string;
  readonly spoken?: number;
  readonly onlyTheOutputAsked?: boolean;
  readonly sameSamples: boolean;
  readonly asFile: boolean;
  readonly kept: readonly number[];
  readonly first: readonly number[];
  readonly unknownModel: readonly string[];
  readonly badDatatype: readonly string[];
  readonly failedRun: readonly string[];
}

const venv = await mlserverVenv();
if (typeof venv === 'string') {
  process.stderr.write(`tritonclient is not tried: ${venv}\n`);
  describe.skip('tritonclient', () => undefined);
} else {
  describe('tritonclient', () => byTritonClient(path.join(venv.folder, 'bin', 'python')));
}

function byTritonClient(python: string): void {
  it('calls pipelines over HTTP and gRPC, streams an answer and its speech, and its deadline ends a run', async () => {
    const log = new CallLog();
    const { stdout } = await promisify(execFile)(python, [script, new URL(rest).host, grpc, question, log.file]);
    const {
      http,
      grpc: byGrpc,
      stream,
      heard,
      late,
    } = JSON.parse(stdout) as Record<'http' | 'grpc', Seen> & {
      stream: { pieces: number; joined: string; whole: string };
      heard: { pieces: number; same: boolean; said: boolean };
      late: readonly string[];
    };
    for (const seen of [http, byGrpc]) {
      expect(seen).toMatchObject({
        live: true,
        ready: true,
        modelReady: true,
        inputs: [{ name: 'speech', datatype: 'BYTES', shape: [1] }],
        transcript: expect.stringMatching(/capital of france/i),
        sameSamples: true,
        asFile: true,
        first: [42],
        badDatatype: [expect.anything(), expect.stringContaining('input tensor n: INT64 instead of FP64')],
        unknownModel: [expect.anything(), expect.stringContaining('no pipeline is named "nobody"')],
        failedRun: [expect.anything(), expect.any(String)],
      });
      expect(seen.kept.length).toBeGreaterThan(0);
    }
    expect(http.reply?.length).toBeGreaterThan(0);
    expect(http.spoken).toBeGreaterThan(0.3);
    expect(byGrpc.onlyTheOutputAsked).toBe(true);
    expect([byGrpc.unknownModel[0], byGrpc.badDatatype[0], byGrpc.failedRun[0]]).toEqual([
      'StatusCode.NOT_FOUND',
      'StatusCode.INVALID_ARGUMENT',
      'StatusCode.INTERNAL',
    ]);
    expect(stream.pieces).toBeGreaterThan(1);
    expect(stream.joined).toBe(stream.whole);
    expect(heard).toEqual({ pieces: expect.any(Number), same: true, said: true });
    expect(heard.pieces).toBeGreaterThan(1);
    expect(late[0]).toBe('StatusCode.DEADLINE_EXCEEDED');
    await isStopped(log);
  });
}

describe('Millrace’s own connectors', () => {
  const plus = infer({
    model: 'two-outputs',
    inputs: { n: tensor({ dtype: 'FP64', shape: [1] }) },
    outputs: { first: tensor({ dtype: 'FP64', shape: [1] }), second: tensor({ dtype: 'FP64', shape: [1] }) },
  });
  const n = { dtype: 'FP64', shape: [1], data: [1] };
  const call: Call = { kind: 'infer', model: plus.model, with: plus.with, input: { n } };

  const connectors: [string, () => Backend][] = [
    ['triton', () => tritonConnector().connect(grpc)],
    ['oip-rest', () => oipRestConnector().connect(rest)],
  ];
  it.each(connectors)('%s calls a pipeline as a model', async (_, connect) => {
    const backend = connect();
    try {
      const { output } = await invoke(backend, call);
      const two = { dtype: 'FP64', shape: [1], data: [2] };
      expect(output).toEqual({ first: two, second: two });
    } finally {
      backend.close();
    }
  });
});

it('a run whose REST client leaves is cancelled where the request says so', async () => {
  const log = new CallLog();
  const body = { inputs: [{ name: 'log', datatype: 'BYTES', shape: [1], data: [log.file] }] };
  const left = new AbortController();
  const response = fetch(`${rest}/v2/models/unending/infer`, {
    method: 'POST',
    headers: { 'millrace-on-leave': 'cancel' },
    body: JSON.stringify(body),
    signal: left.signal,
  });
  await until('the first stage runs', () => log.count('first starts') > 0);
  left.abort();
  await expect(response).rejects.toThrow();
  await isStopped(log);
});
