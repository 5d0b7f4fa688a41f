import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type ApiKey, apiKeySchema } from '../../gateway/access/index.js';
import { type MillraceError, messageOf } from '../../pipelines/errors.js';
import { invalidSetting } from '../../pipelines/invalid-setting.js';
import { withLock } from '../../runtime/file-lock.js';
import { writeJson } from '../../runtime/json-file.js';
import { withoutMark } from '../../runtime/without-mark.js';

const fileSchema = z.strictObject({
  keys: z.array(apiKeySchema).superRefine((keys, context) => {
    const seen = new Set<string>();
    for (const [i, { id }] of keys.entries()) {
      if (seen.has(id)) context.addIssue({ code: 'custom', path: [i, 'id'], message: `"${id}" appears twice` });
      seen.add(id);
    }
  }),
});

/** Reads the keys of a file. Throws `INVALID_SETTING` if it cannot be read or is not a key file. */
export function readKeys(file: string): readonly ApiKey[] {
  const parsed = fileSchema.safeParse(jsonOf(file));
  if (parsed.success) return parsed.data.keys;
  const [issue] = parsed.error.issues;
  throw invalid(file, `${issue?.path.join('.')}: ${issue?.message}`);
}

/** Changes the keys of a file, creating it if it does not exist. The file is replaced atomically. */
export async function changeKeys(
  file: string,
  change: (keys: readonly ApiKey[]) => readonly ApiKey[],
  { create }: { create: boolean },
): Promise<void> {
  await withLock(
    `${file}.lock.json`,
    () => undefined,
    async () => {
      const keys = create && isAbsent(file) ? [] : readKeys(file);
      writeJson(file, { keys: change(keys) });
    },
  );
}

function jsonOf(file: string): unknown {
  try {
    return JSON.parse(withoutMark(readFileSync(file, 'utf8')));
  } catch (error) {
    // The message of JSON.parse would quote the file, which may contain a secret key by mistake.
    throw invalid(file, error instanceof SyntaxError ? 'is not JSON' : messageOf(error));
  }
}

function isAbsent(file: string): boolean {
  try {
    readFileSync(file);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

const invalid = (file: string, why: string): MillraceError => invalidSetting('MILLRACE_KEYS', `${file}: ${why}`);
