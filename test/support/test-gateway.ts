import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { createGateway, type GatewayLimits, type GatewayParts } from '../../gateway/index.js';
import { audio, code, pipeline } from '../../pipelines/index.js';
import { openFileStore } from '../../stores/artifacts/index.js';
import { FakeTemporal } from './fake-temporal.js';

const nothing = z.object({ text: z.string() });
const echo = code('echo', { input: nothing, output: nothing }, (input) => input);

/** One media field and fields of every plain type. */
export const listen = pipeline(
  'listen',
  {
    description: 'Says what it heard',
    input: z.object({
      speech: audio(),
      language: z.string().default('en'),
      beams: z.int().min(1).optional(),
      verbose: z.boolean().optional(),
    }),
    deadline: '10s',
  },
  ({ input, stage }) => ({ text: stage('echo', echo, { text: input.language }).text, heard: input.speech }),
);

/** Two media fields, one optional. */
export const compare = pipeline(
  'compare',
  { input: z.object({ left: audio(), right: audio().optional() }) },
  ({ input }) => ({ left: input.left }),
);

/** No media field. */
export const greet = pipeline('greet', { input: z.object({ name: z.string() }) }, ({ input }) => ({
  name: input.name,
}));

export interface TestGateway {
  readonly app: FastifyInstance;
  readonly temporal: FakeTemporal;
  readonly deps: GatewayParts;
  /** Log lines of requests, parsed. */
  readonly lines: Record<string, unknown>[];
  /** Files of puts in progress. */
  incoming(): Promise<string[]>;
  close(): Promise<void>;
}

/** A gateway with a real store in a temporary folder and a fake Temporal. */
export async function testGateway(
  limits: Partial<GatewayLimits> = {},
  change: Partial<GatewayParts> = {},
): Promise<TestGateway> {
  const root = await mkdtemp(path.join(tmpdir(), 'millrace-gateway-'));
  const temporal = new FakeTemporal();
  const lines: Record<string, unknown>[] = [];
  const keep = (text: string) => {
    const line = JSON.parse(text) as Record<string, unknown>;
    if ('method' in line) lines.push(line);
  };
  const deps: GatewayParts = {
    pipelines: [listen, compare, greet],
    placementOf: () => ({ echo: { connector: 'code', device: 'cpu0', queue: 'millrace' } }),
    temporal: temporal.client,
    taskQueue: 'millrace',
    artifacts: await openFileStore(root),
    events: {
      async *follow() {},
    },
    readiness: {},
    limits: { maxAudioBytes: 200_000, maxJsonBytes: 100_000, maxWaitMs: 2_000, uploadTimeoutMs: 5_000, ...limits },
    uiUrl: (workflowId, runId) => `http://ui.test/workflows/${workflowId}/${runId}`,
    logger: pino({ level: 'info' }, { write: keep }),
    registry: new Registry(),
    ...change,
  };
  const remove = () => rm(root, { recursive: true });
  const app = await createGateway(deps).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  return {
    app,
    temporal,
    deps,
    lines,
    incoming: () => readdir(path.join(root, '.incoming')),
    close: async () => {
      await app.close();
      await remove();
    },
  };
}

/** A multipart body of parts in order; a Buffer is a file. */
export function multipartBody(parts: readonly [name: string, value: string | Buffer, type?: string][]) {
  const boundary = 'millrace-test-boundary';
  const pieces = parts.map(([name, value, type]) => {
    const file = typeof value === 'string' ? '' : '; filename="file.wav"';
    const header = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n`;
    const typed = type === undefined ? '' : `Content-Type: ${type}\r\n`;
    return Buffer.concat([Buffer.from(`${header}${typed}\r\n`), Buffer.from(value), Buffer.from('\r\n')]);
  });
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    payload: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
  };
}
