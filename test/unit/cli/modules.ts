import { mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const face = fileURLToPath(new URL('../../../pipelines/index.ts', import.meta.url));
const zod = createRequire(import.meta.url).resolve('zod');

/** A file with a module that an author might have written; gives its path. */
export function moduleWith(source: string, ending = 'ts'): string {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), `pipelines.${ending}`);
  writeFileSync(file, `import * as m from '${face}';\nimport { z } from '${zod}';\n${source}`);
  return file;
}
