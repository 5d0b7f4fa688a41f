import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TritonClient } from '../../activities/connectors/triton/index.js';
import { testSettings } from './settings.js';

const FOLDER = fileURLToPath(new URL('../fixtures/triton-models/', import.meta.url));
/** A Python model is loaded in a second; a loaded machine takes many of them. */
const LOAD_MS = 60_000;

/** Models that show what the embedded ones do not: tensors of others, many responses, sequences, an ensemble, a call that is late, pairs. */
export type TestModel =
  | 'every-type'
  | 'countdown'
  | 'accumulator'
  | 'overtaking'
  | 'colours'
  | 'scaler'
  | 'colours-of-files'
  | 'streaming-voice'
  | 'chapters'
  | 'streaming-ears'
  | 'encoder'
  | 'text-generator'
  | 'finder'
  | 'nli-table';

/** The folder from which the tests' Triton loads its models. */
export const tritonRepository = () =>
  process.env.TEST_TRITON_REPOSITORY ?? path.join(testSettings().MILLRACE_HOME, 'triton', 'models');

/** The process that serves a model which lies in the repository. */
export function stubOf(name: TestModel): number {
  const file = path.resolve(tritonRepository(), name, '1', 'model.py');
  const pid = readdirSync('/proc').find((each) => /^\d+$/.test(each) && commandOf(each).includes(`\0${file}\0`));
  if (pid === undefined) throw new Error(`no process serves ${file}`);
  return Number(pid);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // the process has ended meanwhile
  }
}

/**
 * Loads a model of test/fixtures/triton-models: one with a `config.json` over the wire, so that it need not lie in the
 * server's repository; one with a `config.pbtxt` from there, since the parts of an ensemble must.
 * @param as another name for it: files that run at the same time must not unload each other's
 */
export async function loadTestModel(client: TritonClient, name: TestModel, as: string = name): Promise<void> {
  const folder = path.join(FOLDER, name);
  const limit = AbortSignal.timeout(LOAD_MS);
  if (existsSync(path.join(folder, 'config.pbtxt'))) {
    cpSync(folder, path.join(tritonRepository(), as), { recursive: true });
    return client.load(as, limit);
  }
  const versions = readdirSync(path.join(folder, '1')).filter((file) => file.endsWith('.py'));
  await client.load(as, limit, {
    config: readFileSync(path.join(folder, 'config.json'), 'utf8'),
    files: Object.fromEntries(versions.map((file) => [`1/${file}`, readFileSync(path.join(folder, '1', file))])),
  });
}
