import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';

/** `deploy/local/weights.json`: the weights are small uploads by third parties, so each file is pinned by its hash. */
const manifest = z.object({
  files: z.array(
    z.object({
      /** The model that loads it, as named by Triton or the LLM server. */
      model: z.string(),
      /** Path relative to the venv's package folder. */
      file: z.string(),
      bytes: z.number().int(),
      sha256: z.string().length(64),
    }),
  ),
});

export type WeightFile = z.output<typeof manifest>['files'][number];

export const readManifest = (file: string): readonly WeightFile[] =>
  manifest.parse(JSON.parse(readFileSync(file, 'utf8'))).files;

/** Throws `STACK_INSTALL_FAILED` naming the first file that is missing or differs from the manifest. */
export async function verifyWeights(folder: string, files: readonly WeightFile[]): Promise<void> {
  for (const { file, bytes, sha256, model } of files) {
    const full = path.join(folder, file);
    const size = await stat(full).then(
      (stats) => stats.size,
      () => undefined,
    );
    if (size === undefined) throw wrong(model, full, 'does not exist');
    if (size !== bytes) throw wrong(model, full, `has ${size} bytes, not ${bytes}`);
    const actual = await sha256Of(full);
    if (actual !== sha256) throw wrong(model, full, `has sha256 ${actual}, not ${sha256}`);
  }
}

const wrong = (model: string, file: string, what: string): MillraceError =>
  new MillraceError('STACK_INSTALL_FAILED', `The weights of ${model}: ${file} ${what}. They are not used.`);

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
