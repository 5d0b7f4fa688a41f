/**
 * Tensors of 150 kB to 20 MB to a model on Triton and back: an `infer` stage by reference, artifact to artifact, and
 * NVIDIA's tritonclient in Python, each by value and by system shared memory, in turn, on one server. Prints the MB/s of each
 * side, both directions counted: of the median call, and of the fastest tenth, which other load on the machine disturbs
 * least; the ratios are of the latter, to tritonclient by value.
 *
 *   npm run bench:tensors [-- --json] [--rounds N]
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Backend, Call } from '../../activities/connectors/connector.js';
import { noAudio } from '../../activities/connectors/contract/index.js';
import { TritonClient, tritonConnector } from '../../activities/connectors/triton/index.js';
import { down, up } from '../../deploy/local/stack/index.js';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { infer, tensor } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { readSettings } from '../../workers/settings.js';
import { percentile } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';

const { values: options } = parseOptions({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '7' } },
});
const ROUNDS = Number(options.rounds);
const SIZES = [150_000, 1_000_000, 5_000_000, 20_000_000];
/** Bytes that a side sends in a round, so that rounds of all sizes take about as long. */
const ROUND_BYTES = 40_000_000;
const SHARED_BYTES = 256 * 1024 * 1024;
const FOLDER = fileURLToPath(new URL('../../../bench/tensors', import.meta.url));
const settings = readSettings(environmentOf({ name: 'tensors', portBase: 7_740 }));

/** Files in memory: the bench measures the way to the server, not a disk. */
const files = new Map<string, Uint8Array>();
const artifacts = {
  read: async ({ uri }: Artifact) => files.get(uri) ?? new Uint8Array(),
  async write(bytes: Uint8Array, { type }: { readonly type: string }): Promise<Artifact> {
    const sha256 = String(files.size % 8).padStart(64, '0');
    const uri = `artifact://bench/${sha256}`;
    files.set(uri, bytes);
    return { uri, sha256, mime: type, bytes: bytes.length };
  },
};

const use = infer({
  model: 'mirror',
  inputs: { BYTES_IN: tensor({ dtype: 'UINT8', shape: [-1], file: 'raw' }) },
  outputs: { BYTES_OUT: tensor({ dtype: 'UINT8', shape: [-1], file: 'raw' }) },
});

async function byReference(backend: Backend, size: number, calls: number): Promise<readonly number[]> {
  const given = Buffer.from(Uint8Array.from({ length: size }, (_, i) => i));
  const uri = `artifact://bench/${'f'.repeat(64)}`;
  files.set(uri, given);
  const file = { uri, sha256: 'f'.repeat(64), mime: 'application/octet-stream', bytes: size };
  const call: Call = {
    kind: 'infer',
    model: 'mirror',
    with: use.with,
    input: { BYTES_IN: { dtype: 'UINT8', shape: [size], file } },
  };
  const seconds: number[] = [];
  let output: JsonObject = {};
  for (let i = 0; i < calls; i++) {
    const started = performance.now();
    ({ output } = await backend.invoke(call, {
      signal: AbortSignal.timeout(60_000),
      audio: noAudio,
      artifacts,
      emit: () => undefined,
      checkpoint: () => undefined,
    }));
    seconds.push((performance.now() - started) / 1_000);
  }
  const { file: answer } = output.BYTES_OUT as unknown as { file: Artifact };
  if (hash(files.get(answer.uri) ?? new Uint8Array()) !== hash(given)) throw new Error('the bytes came back changed');
  return seconds;
}

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function python(endpoint: string) {
  const venv = await ensureVenv({
    folder: path.join(settings.MILLRACE_HOME, 'tritonclient-venv'),
    recipe: FOLDER,
    explicitPython: settings.MILLRACE_PYTHON,
    env: process.env,
    onStep: (detail) => process.stderr.write(`tritonclient: ${detail}\n`),
  });
  const child = spawn(path.join(venv.folder, 'bin', 'python'), [path.join(FOLDER, 'client.py'), endpoint], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async call(size: number, calls: number, way: 'value' | 'shared') {
      child.stdin.write(`${size} ${calls} ${way}\n`);
      const { value } = (await lines.next()) as { value: string };
      return JSON.parse(value) as readonly number[];
    },
    async stop() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

async function main() {
  await down(settings);
  const { triton } = await up({ settings, parts: ['triton'], onProgress: () => undefined });
  const [endpoint = ''] = triton;
  const client = new TritonClient(endpoint);
  const read = (name: string) => readFileSync(path.join(FOLDER, 'mirror', name));
  await client.load('mirror', AbortSignal.timeout(60_000), {
    config: read('config.json').toString(),
    files: { '1/model.py': read('1/model.py') },
  });
  client.close();
  const backend = tritonConnector().connect(endpoint);
  const sharing = tritonConnector().connect(endpoint, undefined, { sharedMemoryBytes: SHARED_BYTES });
  const other = await python(endpoint);
  try {
    const rows: Row[] = [];
    for (const size of SIZES) {
      const calls = Math.max(2, Math.round(ROUND_BYTES / size));
      const [ours, oursShared, theirs, shared]: [number[], number[], number[], number[]] = [[], [], [], []];
      for (const one of [backend, sharing]) await byReference(one, size, 2);
      for (let round = 0; round < ROUNDS; round++) {
        ours.push(...(await byReference(backend, size, calls)));
        oursShared.push(...(await byReference(sharing, size, calls)));
        theirs.push(...(await other.call(size, calls, 'value')));
        shared.push(...(await other.call(size, calls, 'shared')));
      }
      const rate = (share: number, seconds: readonly number[]) =>
        Math.round((2 * size) / percentile(seconds, share) / 1e6);
      const rates = (seconds: readonly number[]) => ({ median: rate(0.5, seconds), fastest: rate(0.1, seconds) });
      rows.push({
        bytes: size,
        millrace: rates(ours),
        millraceShared: rates(oursShared),
        tritonclient: rates(theirs),
        shared: rates(shared),
        ratio: percentile(theirs, 0.1) / percentile(ours, 0.1),
        sharedRatio: percentile(theirs, 0.1) / percentile(oursShared, 0.1),
      });
    }
    print(rows);
  } finally {
    await other.stop();
    backend.close();
    sharing.close();
    await down(settings);
  }
}

interface Row {
  readonly bytes: number;
  readonly millrace: { readonly median: number; readonly fastest: number };
  /** By system shared memory. */
  readonly millraceShared: Row['millrace'];
  readonly tritonclient: Row['millrace'];
  /** tritonclient by system shared memory. */
  readonly shared: Row['millrace'];
  /** Of the fastest tenth to tritonclient's by value. */
  readonly ratio: number;
  readonly sharedRatio: number;
}

function print(rows: readonly Row[]) {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ load: loadavg()[0], rounds: ROUNDS, rows })}\n`);
    return;
  }
  process.stdout.write(`MB/s there and back: median call / fastest tenth (load ${loadavg()[0]?.toFixed(1)})\n`);
  process.stdout.write('     bytes      millrace         shared  tritonclient         shared  ratios\n');
  for (const { bytes, millrace, millraceShared, tritonclient, shared, ratio, sharedRatio } of rows) {
    const cell = ({ median, fastest }: Row['millrace']) => `${median} / ${fastest}`.padStart(13);
    process.stdout.write(
      `${String(bytes).padStart(10)} ${[millrace, millraceShared, tritonclient, shared].map(cell).join('  ')}  ${ratio.toFixed(2)} ${sharedRatio.toFixed(2)}\n`,
    );
  }
}

await main();
