import { randomUUID } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Generated } from '../placement/apply/index.js';

/** Folders in which `apply` writes everything. Beside them a server may write its own files, such as a log. */
const OWN = ['commands', 'triton'];

/**
 * Writes the files and links of a version of a placement. Servers may run in the folders that an earlier call made, so these stay: each file
 * is replaced at once, and what the earlier call wrote with other options is removed.
 *
 * @param repository the author's Triton models, whose files are linked, since weights are large. Undefined: existing links stay
 */
export function writeApplied(
  folder: string,
  { files, linked }: Pick<Generated, 'files' | 'linked'>,
  repository: string | undefined,
): void {
  const links = repository === undefined ? new Map<string, string>() : linksOf({ files, linked }, repository);
  const kinds = new Map<string, Kind>();
  for (const { path: name } of files) kinds.set(path.join(folder, name), 'file');
  for (const name of links.keys()) kinds.set(path.join(folder, name), 'link');
  for (const file of [...kinds.keys()])
    for (let at = path.dirname(file); at.length > folder.length; at = path.dirname(at)) kinds.set(at, 'folder');
  const unknown = repository === undefined ? 'link' : undefined;
  const isKept = (at: string, kind: Kind) => (kinds.get(at) ?? unknown) === kind;
  for (const name of OWN) removeOthers(path.join(folder, name), isKept);
  for (const { path: name, text } of files) {
    const mode = name.endsWith('.sh') ? 0o755 : 0o644;
    replace(path.join(folder, name), (draft) => writeFileSync(draft, text, { mode }));
  }
  for (const [name, target] of links) {
    const link = path.join(folder, name);
    const before = lstatSync(link, { throwIfNoEntry: false }) && readlinkSync(link);
    if (before !== target) replace(link, (draft) => symlinkSync(target, draft));
  }
}

type Kind = 'file' | 'link' | 'folder';

/** By path in the version's folder: a model's files except its configuration, and whole models that others call. */
function linksOf({ files, linked }: Pick<Generated, 'files' | 'linked'>, repository: string): Map<string, string> {
  const folders = files.flatMap(({ path: name }) =>
    path.basename(name) === 'config.pbtxt' ? [path.dirname(name)] : [],
  );
  const parts = folders.flatMap((own) => {
    const model = path.resolve(repository, path.basename(own));
    const names = readdirSync(model).filter((name) => name !== 'config.pbtxt');
    return names.map((name) => [path.join(own, name), path.join(model, name)] as const);
  });
  const whole = linked.flatMap(({ path: name, model }) => {
    const own = path.resolve(repository, model);
    return existsSync(own) ? [[name, own] as const] : [];
  });
  return new Map([...parts, ...whole]);
}

/** Removes what is not kept or is now of another kind: a file below a link to a folder would be written into the author’s models. */
function removeOthers(folder: string, isKept: (at: string, kind: Kind) => boolean): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name);
    const kind = entry.isSymbolicLink() ? 'link' : entry.isDirectory() ? 'folder' : 'file';
    if (!isKept(at, kind)) rmSync(at, { recursive: true, force: true });
    else if (kind === 'folder') removeOthers(at, isKept);
  }
}

/** Makes a draft beside the file and renames it: a server that reads meanwhile finds the old one or the new one. */
function replace(file: string, make: (draft: string) => void): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const draft = `${file}.${randomUUID()}.new`;
  try {
    make(draft);
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
