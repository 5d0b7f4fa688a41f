import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { OutputFile } from '../measure/optimize/index.js';
import { wrongOption } from './place-files.js';

const REPORT = 'report.json';
/** Of the report only what says which files it came with. */
const listed = z.object({ files: z.array(z.string()) });

/** The folder's path. Throws `INVALID_INPUT` if it is not empty and must be. */
export function outputFolder(out: string, force: boolean | undefined): string {
  const folder = path.resolve(out);
  if (!force && existsSync(folder) && readdirSync(folder).length > 0)
    throw wrongOption('--out', `${folder} is not empty: name another folder, or pass --force to replace its files`);
  return folder;
}

/**
 * Writes the files, and `report.json` with their list. What an earlier report in the folder lists is removed unless it is
 * written again: a profile of a variant that is not on the front any more would still be chosen. Files that no report lists stay.
 * @param made files in the folder that are there already and belong to the report, such as weights
 * @param inUse files that must stay although an earlier report lists them, such as the weights that were the input
 * @returns the paths in the folder
 */
export function writeReport(
  folder: string,
  report: object,
  files: readonly OutputFile[],
  { made = [], inUse = [] }: { readonly made?: readonly string[]; readonly inUse?: readonly string[] } = {},
): readonly string[] {
  const before = filesOfReport(folder);
  mkdirSync(folder, { recursive: true });
  for (const file of files) {
    const to = path.join(folder, file.path);
    mkdirSync(path.dirname(to), { recursive: true });
    if ('copyOf' in file) cpSync(file.copyOf, to, { recursive: true, force: true });
    else writeFileSync(to, file.text, { mode: file.path.endsWith('.sh') ? 0o755 : 0o644 });
  }
  const own = made.map((file) => path.relative(folder, file)).filter((file) => isInside(folder, file));
  const written = [...new Set([...files.map(({ path: each }) => each), ...own, REPORT])];
  const kept = new Set([...written, ...inUse.map((file) => path.relative(folder, file))].map(unitOf));
  for (const unit of new Set(before.map(unitOf))) {
    if (!kept.has(unit)) rmSync(path.join(folder, unit), { recursive: true, force: true });
  }
  writeFileSync(path.join(folder, REPORT), `${JSON.stringify({ ...report, files: written }, null, 2)}\n`);
  return written;
}

function filesOfReport(folder: string): readonly string[] {
  try {
    const { files } = listed.parse(JSON.parse(readFileSync(path.join(folder, REPORT), 'utf8')));
    return files.filter((file) => isInside(folder, file));
  } catch {
    return []; // none, or not one of these
  }
}

/** A report may have been edited: nothing outside of the folder is removed. */
const isInside = (folder: string, file: string): boolean =>
  path.resolve(folder, file).startsWith(`${path.resolve(folder)}${path.sep}`);

/** What is replaced as a whole: a file, or the folder of a model, where Python leaves files of its own. */
const unitOf = (file: string): string => path.normalize(file).split(path.sep).slice(0, 2).join(path.sep);
