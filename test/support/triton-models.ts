import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TritonClient } from '../../activities/connectors/triton/index.js';

const FOLDER = fileURLToPath(new URL('../fixtures/triton-models/', import.meta.url));
/** A Python model is loaded in a second; a loaded machine takes many of them. */
const LOAD_MS = 60_000;

/** Models that show what the embedded ones do not: every element type, many responses, sequences, a call that is late. */
export type TestModel = 'every-type' | 'countdown' | 'accumulator' | 'overtaking';

/** Loads a model of test/fixtures/triton-models over the wire, so that it need not lie in the server's repository. */
export async function loadTestModel(client: TritonClient, name: TestModel): Promise<void> {
  const folder = path.join(FOLDER, name);
  const versions = readdirSync(path.join(folder, '1')).filter((file) => file.endsWith('.py'));
  await client.load(name, AbortSignal.timeout(LOAD_MS), {
    config: readFileSync(path.join(folder, 'config.json'), 'utf8'),
    files: Object.fromEntries(versions.map((file) => [`1/${file}`, readFileSync(path.join(folder, '1', file))])),
  });
}
