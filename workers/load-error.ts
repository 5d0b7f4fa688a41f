import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { closest } from '../pipelines/did-you-mean.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { loadPlace } from './load-place.js';

/**
 * Why a module of pipelines cannot be loaded, with the file and line in the author's code, relative to the working
 * folder.
 */
export async function loadError(error: unknown, module: string): Promise<MillraceError> {
  const at = await loadPlace(error, module);
  const where = at === undefined ? '' : ` (${at})`;
  if (error instanceof MillraceError) {
    const { code, message, details } = error;
    return new MillraceError(code, `${message}${where}`, { ...details, ...(at && { at }) }, { cause: error });
  }
  const name = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : '';
  const message = existsSync(module) ? `cannot load ${module}: ${name}${messageOf(error)}${where}` : noFile(module);
  return new MillraceError(
    'INVALID_SETTING',
    `MILLRACE_PIPELINES: ${message}`,
    { fields: [{ field: 'MILLRACE_PIPELINES', message }], ...(at && { at }) },
    { cause: error },
  );
}

function noFile(module: string): string {
  const file = path.resolve(module);
  const meant = closest(path.basename(file), neighbours(path.dirname(file)));
  const question = meant === undefined ? '' : `; did you mean "${path.join(path.dirname(module), meant)}"?`;
  return `there is no file ${module} (relative to ${process.cwd()})${question}`;
}

function neighbours(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
